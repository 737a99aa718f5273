// Reads tar archives (POSIX ustar and what GNU tar and Python write), compressed by gzip or not, forwards.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace saddle {

class Tar {
 public:
  struct Entry {
    std::string name;  // with its folders
    int64_t bytes = 0;
  };

  explicit Tar(const std::string& path);
  // The next regular file; nothing at the end. Exit::data names the archive where it is damaged.
  std::optional<Entry> next();
  // Its content; once. Exit::data if it is more than `most` bytes.
  std::string read(int64_t most);

 private:
  struct Close {
    void operator()(gzFile_s* file) const { gzclose(file); }
  };
  bool header(char* block);
  void bytes(char* to, int64_t count);
  void skip();
  void finish();

  std::string path_;
  std::unique_ptr<gzFile_s, Close> file_;
  Entry entry_;
  int64_t left_ = 0, padding_ = 0;  // of the entry's content, and behind it
};

}  // namespace saddle
