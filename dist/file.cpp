#include "dist/file.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include "dist/error.h"

namespace saddle {
namespace {

std::string hex(XXH128_hash_t hash) {
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

[[noreturn]] void cannot(const char* what, const std::string& path) {
  fail(Exit::io, "cannot {} '{}': {}", what, path, std::strerror(errno));
}

}  // namespace

OutputFile::OutputFile(const std::string& path)
    : path_(path), descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
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

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) cannot("read", path);
  std::string content;
  std::vector<char> buffer(1 << 20);
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), in.gcount() > 0)
    content.append(buffer.data(), static_cast<size_t>(in.gcount()));
  if (in.bad()) cannot("read", path);
  return content;
}

void write_file(const std::string& path, std::string_view content) {
  OutputFile out(path + ".tmp");
  out.write(content.data(), static_cast<int64_t>(content.size()));
  out.close();
  if (::rename((path + ".tmp").c_str(), path.c_str()) != 0) cannot("rename to", path);
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
  std::ifstream in(path, std::ios::binary);
  if (!in) cannot("read", path);
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
  XXH3_128bits_reset(state.get());
  std::vector<char> buffer(1 << 20);
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), in.gcount() > 0)
    XXH3_128bits_update(state.get(), buffer.data(), static_cast<size_t>(in.gcount()));
  return hex(XXH3_128bits_digest(state.get()));
}

}  // namespace saddle
