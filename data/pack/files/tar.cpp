#include "data/pack/files/tar.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "data/pack/arrays/arrays.h"
#include "data/pack/files/room.h"
#include "dist/error.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

constexpr int64_t kBlock = 512;

// A field of a header: up to its first zero.
std::string_view text(const char* block, size_t at, size_t bytes) {
  const std::string_view all(block + at, bytes);
  return all.substr(0, all.find('\0'));
}

int64_t octal(const char* block, size_t at, size_t bytes, const std::string& path) {
  int64_t value = 0;
  for (const char c : text(block, at, bytes)) {
    if (c == ' ') continue;
    require(c >= '0' && c <= '7', Exit::data, "{}: damaged tar header: expected an octal number", path);
    value = value * 8 + (c - '0');
  }
  return value;
}

bool is_zero(const char* block) {
  return std::all_of(block, block + kBlock, [](char c) { return c == 0; });
}

void check_sum(const char* block, const std::string& path) {
  constexpr int64_t kAt = 148, kBytes = 8;  // counts as blanks in its own sum
  int64_t sum = kBytes * ' ';
  for (int64_t i = 0; i < kBlock; ++i)
    if (i < kAt || i >= kAt + kBytes) sum += static_cast<unsigned char>(block[i]);
  require(text(block, 257, 5) == "ustar" && octal(block, kAt, kBytes, path) == sum, Exit::data,
          "{}: expected a tar archive, found a damaged or other file", path);
}

}  // namespace

Tar::Tar(const std::string& path) : path_(path), file_(gzopen(path.c_str(), "rb")) {
  require(file_ != nullptr, Exit::data, "{}: cannot open", path);
  gzbuffer(file_.get(), 1 << 18);
}

std::optional<Tar::Entry> Tar::next() {
  skip();
  std::array<char, kBlock> block;
  while (header(block.data())) {
    entry_.bytes = left_ = octal(block.data(), 124, 12, path_);
    padding_ = (kBlock - left_ % kBlock) % kBlock;
    const std::string_view folder = text(block.data(), 345, 155), name = text(block.data(), 0, 100);
    entry_.name = folder.empty() ? std::string(name) : fmt::format("{}/{}", folder, name);
    const char kind = block[156];
    if (kind == '0' || kind == '\0') return entry_;
    skip();  // folders, links, and the attributes and long names of the next entry, which none of ours has
  }
  finish();
  return {};
}

bool Tar::header(char* block) {
  bytes(block, kBlock);
  if (is_zero(block)) return false;
  check_sum(block, path_);
  return true;
}

std::string Tar::read(int64_t most) {
  constexpr int64_t kPiece = 1 << 20;
  require_room(path_ + ": " + to_utf8(entry_.name), fmt::format("{} bytes", left_), double(left_), most);
  std::string out;  // grows as bytes are found, not as they are claimed
  while (left_ > 0) {
    const int64_t piece = std::min(kPiece, left_);
    out.resize(out.size() + size_t(piece));
    bytes(out.data() + out.size() - piece, piece);
    left_ -= piece;
  }
  return out;
}

void Tar::skip() {
  std::array<char, 1 << 14> unused;
  for (left_ += padding_, padding_ = 0; left_ > 0;) {
    const int64_t piece = std::min(int64_t(unused.size()), left_);
    bytes(unused.data(), piece);
    left_ -= piece;
  }
}

void Tar::bytes(char* to, int64_t count) {
  const int64_t got = gzread(file_.get(), to, unsigned(count));
  int code = 0;
  const std::string reason = gzerror(file_.get(), &code);
  require(got == count, Exit::data, "{}: damaged or cut off: {}", path_,
          code == Z_OK || reason.empty() ? "it ends too early" : reason);
}

void Tar::finish() {  // gzip's checksum is looked at only at its end
  std::array<char, 1 << 14> unused;
  int got = 0;
  while ((got = gzread(file_.get(), unused.data(), unused.size())) > 0) continue;
  int code = 0;
  const std::string reason = gzerror(file_.get(), &code);
  require(got == 0 && (code == Z_OK || code == Z_STREAM_END), Exit::data, "{}: damaged: {}", path_, reason);
}

}  // namespace saddle
