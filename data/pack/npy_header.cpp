#include "data/pack/npy_header.h"

#include <charconv>

#include "dist/error.h"

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

}  // namespace saddle
