// The text of a file, compressed by gzip or not, in one coding and with one kind of line end.
#pragma once

#include <cstdint>
#include <string>

#include "data/pack/files/gz.h"

namespace saddle {

// Byte order marks go, UTF-16 becomes UTF-8 (also without a mark, where NUL bytes show it), and lines that
// end as on Windows or an old Mac end in '\n'. Other bytes pass as they are. Exit::data names the file that
// is damaged, UTF-32, malformed UTF-16, or no text since it holds NUL bytes.
class TextFile {
 public:
  explicit TextFile(const std::string& path);
  bool read(std::string& piece);  // the next one, never empty; false at the end

 private:
  enum class Coding { bytes, utf16_little, utf16_big };

  bool refill();
  void find_coding();
  std::string decode();
  std::string from_utf16();
  char32_t unit(size_t at) const;
  void end_lines(std::string& text);

  std::string path_;
  GzFile file_;
  Coding coding_ = Coding::bytes;
  std::string raw_;            // bytes of the file that are not decoded yet
  int64_t piece_ = 0;          // bytes asked for last
  int64_t at_ = 0;             // where they begin in it
  bool after_return_ = false;  // the piece before ended in '\r'
};

}  // namespace saddle
