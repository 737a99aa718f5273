// A file read by zlib, which takes it compressed or plain.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

struct gzFile_s;

namespace saddle {

class GzFile {
 public:
  explicit GzFile(const std::string& path);
  // Up to `bytes` bytes; fewer only at the end. Exit::data if the file is damaged or cut off in mid-stream.
  // At the end of a compressed file its checksum has been compared.
  int64_t read(void* to, int64_t bytes);
  void seek(int64_t at);  // forwards by reading on, backwards from the start
  // No more than this many bytes can come out of the file: what a header claims is compared with it.
  int64_t most() const { return most_; }

 private:
  struct Close {
    void operator()(gzFile_s* file) const;
  };
  void check() const;

  std::string path_;
  std::unique_ptr<gzFile_s, Close> file_;
  int64_t most_ = 0;
};

}  // namespace saddle
