// Files that must survive a power cut: written whole, synced, then renamed. What is read is a regular file: a
// FIFO or a device would be waited on for ever. What is written replaces no file that a link at its temporary
// name leads to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace saddle {

// A descriptor for reading a regular file, at its beginning; Exit::io with the path and reason.
int open_to_read(const std::string& path);
std::string read_file(const std::string& path);  // Exit::io with the path and reason
// To `path`.tmp, fsync, rename, fsync of the folder. Exit::io with the path and reason, and nothing is left.
void write_file(const std::string& path, std::string_view content);
void sync_folder(const std::string& path);
std::string hash_text(std::string_view bytes);  // XXH3-128 as 32 hex digits
std::string hash_file(const std::string& path);

// A new file being written; one that is there is removed first, and a link not followed. Throws Exit::io at
// the first failure, also of fsync and close.
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
