#include "data/pack/files/text_file.h"

#include <algorithm>
#include <string_view>

#include "dist/error.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

using namespace std::string_view_literals;

constexpr int64_t kFirst = 1 << 14, kPiece = 1 << 20;  // of a small file little memory is touched

bool is_high(char32_t unit) {
  return unit >= 0xD800 && unit < 0xDC00;
}

bool is_low(char32_t unit) {
  return unit >= 0xDC00 && unit < 0xE000;
}

}  // namespace

TextFile::TextFile(const std::string& path) : path_(path), file_(path) {
  refill();
  find_coding();
}

bool TextFile::read(std::string& piece) {
  piece.clear();
  while (piece.empty()) {
    if (raw_.empty() && !refill()) return false;
    const size_t before = raw_.size();
    piece = decode();
    end_lines(piece);
    if (raw_.size() == before && !refill())  // a part of a character, and nothing behind it
      fail(Exit::data, "{}: byte {}: UTF-16 that is cut off in mid-character", path_, at_ + 1);
  }
  return true;
}

bool TextFile::refill() {
  const size_t before = raw_.size();
  piece_ = std::clamp(2 * piece_, kFirst, kPiece);
  raw_.resize(before + size_t(piece_));
  raw_.resize(before + size_t(file_.read(raw_.data() + before, piece_)));
  return raw_.size() > before;
}

void TextFile::find_coding() {
  const auto marked = [&](std::string_view mark) { return std::string_view(raw_).starts_with(mark); };
  const auto skip = [&](size_t bytes) { raw_.erase(0, bytes), at_ += int64_t(bytes); };
  require(!marked("\xFF\xFE\0\0"sv) && !marked("\0\0\xFE\xFF"sv), Exit::data,
          "{}: is UTF-32, which is not read; convert it: iconv -f UTF-32 -t UTF-8", path_);
  if (marked("\xEF\xBB\xBF"sv)) return skip(3);
  if (marked("\xFF\xFE"sv)) return coding_ = Coding::utf16_little, skip(2);
  if (marked("\xFE\xFF"sv)) return coding_ = Coding::utf16_big, skip(2);
  // Without a mark: every other byte of most scripts' UTF-16 is zero, and of digits and commas all are.
  constexpr size_t kHead = 4096;
  const size_t units = std::min(raw_.size(), kHead) / 2;
  size_t even = 0, odd = 0;
  for (size_t i = 0; i < units; ++i) even += raw_[2 * i] == '\0', odd += raw_[2 * i + 1] == '\0';
  if (even == 0 && odd > 0 && odd >= units / 2) coding_ = Coding::utf16_little;
  if (odd == 0 && even > 0 && even >= units / 2) coding_ = Coding::utf16_big;
}

// As much of raw_ as is whole.
std::string TextFile::decode() {
  if (coding_ != Coding::bytes) return from_utf16();
  const size_t nul = raw_.find('\0');
  if (nul != std::string::npos)
    fail(Exit::data, "{}: byte {}: a NUL byte, so no text; if it is UTF-16: iconv -f UTF-16 -t UTF-8", path_,
         at_ + int64_t(nul) + 1);
  at_ += int64_t(raw_.size());
  return std::exchange(raw_, {});
}

char32_t TextFile::unit(size_t at) const {
  const auto first = uint8_t(raw_[at]), second = uint8_t(raw_[at + 1]);
  return coding_ == Coding::utf16_little ? char32_t(second << 8 | first) : char32_t(first << 8 | second);
}

std::string TextFile::from_utf16() {
  std::string out;
  size_t at = 0;
  while (at + 2 <= raw_.size()) {
    char32_t code = unit(at);
    const bool pair = is_high(code);
    if (pair && at + 4 > raw_.size()) break;
    if (is_low(code) || (pair && !is_low(unit(at + 2))) || code == 0)
      fail(Exit::data, "{}: byte {}: expected UTF-16, found {:04X}, which is no character; restore the file",
           path_, at_ + int64_t(at) + 1, uint32_t(code));
    if (pair) code = 0x10000 + ((code - 0xD800) << 10) + (unit(at + 2) - 0xDC00);
    append_code_point(out, code);
    at += pair ? 4 : 2;
  }
  raw_.erase(0, at), at_ += int64_t(at);
  return out;
}

void TextFile::end_lines(std::string& text) {
  if (!after_return_ && text.find('\r') == std::string::npos) return;
  size_t to = 0;
  for (const char c : text) {
    const bool second = c == '\n' && after_return_;
    after_return_ = c == '\r';
    if (!second) text[to++] = c == '\r' ? '\n' : c;
  }
  text.resize(to);
}

}  // namespace saddle
