// A library to preload: writes down what a program does to files below SADDLE_CRASH_FOLDER, in the order in
// which it was done by all processes, to SADDLE_CRASH_LOG. Records: a line "OPERATION BYTES PATH[<tab>PATH]",
// then BYTES of data.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

std::string path_of(int descriptor) {
  char path[4096];
  const ssize_t length = readlink(("/proc/self/fd/" + std::to_string(descriptor)).c_str(), path, sizeof path);
  return length > 0 ? std::string(path, static_cast<size_t>(length)) : std::string();
}

std::string path_at(int folder, const char* path) {
  return path[0] == '/' || folder == AT_FDCWD ? path : path_of(folder) + "/" + path;
}

void record(const std::string& operation, const std::string& path, const std::string& other = "",
            const void* data = nullptr, ssize_t bytes = 0) {
  static const char* const folder = std::getenv("SADDLE_CRASH_FOLDER");
  static const char* const log = std::getenv("SADDLE_CRASH_LOG");
  if (!folder || !log || path.compare(0, std::char_traits<char>::length(folder), folder) != 0 || bytes < 0)
    return;
  std::string text =
      operation + " " + std::to_string(bytes) + " " + path + (other.empty() ? "" : "\t" + other) + "\n";
  text.append(static_cast<const char*>(data), static_cast<size_t>(bytes));
  static auto* const real_open = next<int(const char*, int, ...)>("open");
  static auto* const real_write = next<ssize_t(int, const void*, size_t)>("write");
  static const int out = real_open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  // In one piece, so that those of other processes come before or after.
  if (real_write(out, text.data(), text.size()) != static_cast<ssize_t>(text.size())) abort();
}

// What was done, if it was.
int done(int status, const std::string& operation, const std::string& path, const std::string& other = "") {
  if (status == 0) record(operation, path, other);
  return status;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  const int descriptor = next<int(const char*, int, ...)>("open")(path, flags, mode);
  if (descriptor >= 0 && flags & O_CREAT) record(flags & O_TRUNC ? "truncate" : "create", path);
  return descriptor;
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return open(path, flags, mode);
}

ssize_t write(int descriptor, const void* data, size_t bytes) {
  const ssize_t written = next<ssize_t(int, const void*, size_t)>("write")(descriptor, data, bytes);
  if (written > 0) record("write", path_of(descriptor), "", data, written);
  return written;
}

int fsync(int descriptor) {
  return done(next<int(int)>("fsync")(descriptor), "fsync", path_of(descriptor));
}

int rename(const char* from, const char* to) {
  return done(next<int(const char*, const char*)>("rename")(from, to), "rename", from, to);
}

int mkdir(const char* path, mode_t mode) {
  return done(next<int(const char*, mode_t)>("mkdir")(path, mode), "mkdir", path);
}

int unlink(const char* path) {
  return done(next<int(const char*)>("unlink")(path), "remove", path);
}

int unlinkat(int folder, const char* path, int flags) {
  const std::string whole = path_at(folder, path);
  return done(next<int(int, const char*, int)>("unlinkat")(folder, path, flags), "remove", whole);
}

int rmdir(const char* path) {
  return done(next<int(const char*)>("rmdir")(path), "remove", path);
}

int remove(const char* path) {
  return done(next<int(const char*)>("remove")(path), "remove", path);
}

}  // extern "C"
