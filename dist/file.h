// Files that must survive a power cut: written whole, synced, then renamed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace saddle {

std::string read_file(const std::string& path);  // Exit::io with the path and reason
// To `path`.tmp, fsync, rename, fsync of the folder. Exit::io with the path and reason.
void write_file(const std::string& path, std::string_view content);
void sync_folder(const std::string& path);
std::string hash_text(std::string_view bytes);  // XXH3-128 as 32 hex digits
std::string hash_file(const std::string& path);

// A file being written; throws Exit::io at the first failure, also of fsync and close.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  void write(const void* data, int64_t bytes);
  void close();  // fsync and close

 private:
  std::string path_;
  int descriptor_;
};

}  // namespace saddle
