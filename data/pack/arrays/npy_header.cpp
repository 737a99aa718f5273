#include "data/pack/arrays/npy_header.h"

#include <charconv>

#include "data/pack/arrays/array_labels.h"
#include "dist/error.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

// The few Python literals of a header, read strictly from left to right.
class Literal {
 public:
  Literal(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  NpyHeader dict() {
    NpyHeader header;
    std::string seen;
    expect('{');
    while (!next('}')) {
      const std::string key = quoted();
      expect(':');
      check(seen.find(key + ",") == std::string::npos, "each key once");
      seen += key + ",";
      value(key, header);
      if (!next(',')) {
        expect('}');
        break;
      }
    }
    skip();
    check(at_ == text_.size(), "nothing after the dictionary");
    check(seen.size() == std::string_view("descr,fortran_order,shape,").size(),
          "descr, fortran_order, shape");
    return header;
  }

 private:
  void value(const std::string& key, NpyHeader& header) {
    if (key == "descr")
      header.descr = next('[') ? records() : quoted();
    else if (key == "fortran_order")
      header.fortran = boolean();
    else if (key == "shape")
      header.shape = tuple();
    else
      check(false, "descr, fortran_order and shape only");
  }

  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }

  bool next(char c) {
    skip();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) { check(next(c), std::string(1, c)); }

  std::string quoted() {
    const char quote = next('\'') ? '\'' : '"';
    if (quote == '"') check(next('"'), "a text");
    const size_t end = text_.find(quote, at_);
    check(end != std::string_view::npos, "a closing quote");
    const std::string out(text_.substr(at_, end - at_));
    at_ = end + 1;
    return out;
  }

  // The type of an array of records, which is not read, up to its closing bracket.
  std::string records() {
    const size_t from = at_ - 1;
    for (int64_t depth = 1; depth > 0;) {
      skip();
      check(at_ < text_.size(), "a closing bracket");
      const char c = text_[at_];
      if (c == '\'' || c == '"') {
        quoted();
        continue;
      }
      depth += (c == '[' || c == '(') - (c == ']' || c == ')');
      ++at_;
    }
    return std::string(text_.substr(from, at_ - from));
  }

  bool boolean() {
    skip();
    for (const std::string_view word : {"True", "False"})
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return word == "True";
      }
    check(false, "True or False");
    return false;
  }

  std::vector<int64_t> tuple() {
    constexpr size_t kMostAxes = 32;  // as NumPy
    std::vector<int64_t> out;
    expect('(');
    while (!next(')')) {
      check(out.size() < kMostAxes, "at most 32 axes");
      out.push_back(number());
      if (!next(',')) {
        expect(')');
        break;
      }
    }
    return out;
  }

  int64_t number() {
    skip();
    int64_t out = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), out);
    check(error == std::errc() && out >= 0, "an extent");
    at_ = size_t(end - text_.data());
    next('L');  // of Python 2
    return out;
  }

  void check(bool condition, const std::string& expected) const {
    require(condition, Exit::data, "{}: damaged NumPy header: expected {} at position {} of \"{}\"", where_,
            expected, at_, to_utf8(text_.substr(0, 200)));
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
};

}  // namespace

NpyHeader read_npy_header(const std::function<void(char* to, int64_t bytes)>& read,
                          const std::string& where) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  char begin[8];
  read(begin, 8);
  const int version = begin[6];
  require(std::string_view(begin, 6) == kMagic && version >= 1 && version <= 3, Exit::data,
          "{}: expected a NumPy array of version 1 to 3, found {}", where,
          std::string_view(begin, 6) == kMagic ? fmt::format("version {}", version) : "another kind of file");
  uint8_t count[4] = {};
  const int64_t digits = version == 1 ? 2 : 4;
  read(reinterpret_cast<char*>(count), digits);
  const uint32_t length =
      uint32_t{count[0]} | uint32_t{count[1]} << 8 | uint32_t{count[2]} << 16 | uint32_t{count[3]} << 24;
  require(length < 1 << 16, Exit::data, "{}: a header of {} bytes is damaged or of records", where, length);
  std::string text(length, '\0');
  read(text.data(), length);
  NpyHeader header = Literal(text, where).dict();
  header.element = element_of(header.descr);
  header.bytes = 8 + digits + int64_t{length};
  return header;
}

namespace {

struct TextType {
  bool wide = false, swapped = false;  // UTF-32 (U), which may be big-endian; else bytes (S)
  int64_t bytes = 0;                   // of a text
};

std::optional<TextType> text_type(const std::string& descr) {
  const size_t at = descr.find_first_of("SUa");
  if (at != 1) return {};
  TextType out{.wide = descr[1] == 'U', .swapped = descr[0] == '>'};
  const auto [end, error] = std::from_chars(descr.data() + 2, descr.data() + descr.size(), out.bytes);
  constexpr int64_t kMost = 1 << 20;
  if (error != std::errc() || end != descr.data() + descr.size() || out.bytes < 1 || out.bytes > kMost)
    return {};
  out.bytes *= out.wide ? 4 : 1;
  return out;
}

// Zeros fill it up.
std::string text_of(const std::string& item, const TextType& type, const std::string& where) {
  std::string out;
  if (!type.wide) return to_utf8(item.substr(0, item.find_last_not_of('\0') + 1));
  for (size_t at = 0; at < item.size(); at += 4) {
    char32_t code = 0;
    for (size_t k = 0; k < 4; ++k) code |= char32_t{uint8_t(item[at + k])} << 8 * (type.swapped ? 3 - k : k);
    if (code == 0) continue;
    require(code <= 0x10FFFF && (code < 0xD800 || code >= 0xE000), Exit::data,
            "{}: expected a character, found the number {}", where, uint32_t(code));
    append_code_point(out, code);
  }
  return out;
}

}  // namespace

std::optional<Array> read_npy_texts(const NpyHeader& header, int64_t bytes,
                                    const std::function<void(char* to, int64_t bytes)>& read,
                                    const std::string& name, const std::string& where) {
  const auto type = text_type(header.descr);
  const auto& shape = header.shape;
  if (!type || shape.empty() || is_empty(shape) || shape.size() > 2 || (shape.size() == 2 && shape[1] != 1))
    return {};
  const int64_t expected = checked_bytes(shape, type->bytes, bytes, where);
  require(bytes == expected, Exit::data, "{}: expected {} bytes of texts, found {}", where, expected, bytes);
  std::vector<std::string> texts;
  std::string item(size_t(type->bytes), '\0');
  for (int64_t i = 0; i < shape[0]; ++i) {
    read(item.data(), type->bytes);
    texts.push_back(text_of(item, *type, where));
  }
  return text_labels(name, where, texts);
}

std::string why_no_numbers(const NpyHeader& header) {
  if (text_type(header.descr)) return "it holds texts; call it label if they are the classes";
  if (header.descr.find('O') == 1)
    return "it holds Python objects; save it with another dtype, such as labels as texts by .astype(str)";
  return "it holds no numbers";
}

}  // namespace saddle
