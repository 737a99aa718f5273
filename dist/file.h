// Files that must survive a power cut: written whole, synced, then renamed. What is read is a regular file: a
// FIFO or a device would be waited on for ever. What is written replaces no file that a link at its temporary
// name leads to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace saddle {

inline constexpr int64_t kMostTextBytes = int64_t{4} << 20;  // of what people write by hand: options, sites

// A descriptor for reading a regular file, at its beginning; Exit::io with the path and reason.
int open_to_read(const std::string& path);
// Exit::io with the path and reason; Exit::data, and little is read, if it has more than `most` bytes.
std::string read_file(const std::string& path, int64_t most = INT64_MAX);
// That nothing is at this path, or a regular file and no link: Exit::io says what is instead.
void require_plain(const std::string& path);
// To `path`.tmp, fsync, rename, fsync of the folder. Exit::io with the path and reason, and nothing is left.
void write_file(const std::string& path, std::string_view content);
void sync_folder(const std::string& path);
std::string hash_text(std::string_view bytes);  // XXH3-128 as 32 hex digits
std::string hash_file(const std::string& path);
std::string text_of_bytes(double bytes);  // "1.5 GiB"

// A regular file that is read here and there. Exit::io with the path and reason.
class InputFile {
 public:
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  int64_t size() const { return size_; }
  // All of these bytes, or Exit::data if the file ends before.
  void read(int64_t at, void* to, int64_t bytes) const;

 private:
  std::string path_;
  int descriptor_;
  int64_t size_;
};

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
