#include "dist/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "dist/error.h"

namespace saddle {
namespace {

std::string hex(XXH128_hash_t hash) {
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

struct Descriptor {
  explicit Descriptor(int number) : number(number) {}
  ~Descriptor() { ::close(number); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  const int number;
};

[[noreturn]] void cannot(const char* what, const std::string& path) {
  fail(Exit::io, "cannot {} '{}': {}", what, path, std::strerror(errno));
}

int create(const std::string& path) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const int descriptor = ::open(path.c_str(), kFlags, 0644);
  if (descriptor >= 0 || errno != EEXIST || ::unlink(path.c_str()) != 0) return descriptor;
  return ::open(path.c_str(), kFlags, 0644);
}

std::string kind_of(mode_t mode) {
  return S_ISDIR(mode) ? "a folder" : S_ISFIFO(mode) ? "a FIFO" : S_ISSOCK(mode) ? "a socket" : "a device";
}

int64_t size_of(int descriptor) {
  struct stat found {};
  return ::fstat(descriptor, &found) == 0 ? int64_t(found.st_size) : 0;
}

[[noreturn]] void fail_large(const std::string& path, int64_t most, int64_t found) {
  fail(Exit::data, "'{}': expected a file of at most {} bytes, found {}: is it what it should be?", path,
       most, found);
}

// What is read from a file, piece by piece.
template <class Take>
void read_pieces(const std::string& path, int64_t most, Take take) {
  const Descriptor file(open_to_read(path));
  if (const int64_t size = size_of(file.number); size > most) fail_large(path, most, size);
  std::vector<char> buffer(1 << 20);
  for (;;) {
    const ssize_t got = ::read(file.number, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) cannot("read", path);
    if (got == 0) return;
    take(std::string_view(buffer.data(), static_cast<size_t>(got)));
  }
}

}  // namespace

OutputFile::OutputFile(const std::string& path) : path_(path), descriptor_(create(path)) {
  if (descriptor_ < 0) cannot("create", path_);
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::write(const void* data, int64_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(descriptor_, at, static_cast<size_t>(bytes));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) cannot("write", path_);
    at += written;
    bytes -= written;
  }
}

void OutputFile::close() {
  if (::fsync(descriptor_) != 0) cannot("sync", path_);
  if (::close(std::exchange(descriptor_, -1)) != 0) cannot("close", path_);
}

int open_to_read(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) cannot("read", path);
  struct stat found {};
  if (::fstat(descriptor, &found) == 0 && S_ISREG(found.st_mode)) return descriptor;
  ::close(descriptor);
  fail(Exit::io, "cannot read '{}': expected a file, found {}", path, kind_of(found.st_mode));
}

std::string read_file(const std::string& path, int64_t most) {
  std::string content;
  read_pieces(path, most, [&](std::string_view piece) {
    content += piece;
    if (int64_t(content.size()) > most) fail_large(path, most, int64_t(content.size()));  // it grows
  });
  return content;
}

void require_plain(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0 || S_ISREG(found.st_mode)) return;
  fail(Exit::io, "'{}': expected a file, found {}: remove it", path,
       S_ISLNK(found.st_mode) ? "a link" : kind_of(found.st_mode));
}

InputFile::InputFile(const std::string& path)
    : path_(path), descriptor_(open_to_read(path)), size_(size_of(descriptor_)) {}

InputFile::~InputFile() {
  ::close(descriptor_);
}

void InputFile::read(int64_t at, void* to, int64_t bytes) const {
  char* next = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t got = ::pread(descriptor_, next, static_cast<size_t>(bytes), at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) cannot("read", path_);
    require(got > 0, Exit::data, "'{}' is cut off: it ends {} bytes early", path_, bytes);
    next += got, at += got, bytes -= got;
  }
}

void write_file(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".tmp";
  try {
    OutputFile out(temporary);
    out.write(content.data(), static_cast<int64_t>(content.size()));
    out.close();
    if (::rename(temporary.c_str(), path.c_str()) != 0) cannot("rename to", path);
  } catch (const Error&) {
    ::unlink(temporary.c_str());
    throw;
  }
  const std::string parent = std::filesystem::path(path).parent_path().string();
  sync_folder(parent.empty() ? "." : parent);
}

void sync_folder(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) cannot("open folder", path);
  const int status = ::fsync(descriptor);
  ::close(descriptor);
  if (status != 0 && errno != EINVAL) cannot("sync folder", path);  // some file systems have no such thing
}

std::string hash_text(std::string_view bytes) {
  return hex(XXH3_128bits(bytes.data(), bytes.size()));
}

std::string hash_file(const std::string& path) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
  XXH3_128bits_reset(state.get());
  read_pieces(path, INT64_MAX,
              [&](std::string_view piece) { XXH3_128bits_update(state.get(), piece.data(), piece.size()); });
  return hex(XXH3_128bits_digest(state.get()));
}

std::string text_of_bytes(double bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  for (; bytes >= 1024 && unit < 5; ++unit) bytes /= 1024;
  return bytes < 10 && unit > 0 ? fmt::format("{:.1f} {}", bytes, kUnits[unit])
                                : fmt::format("{:.0f} {}", bytes, kUnits[unit]);
}

}  // namespace saddle
