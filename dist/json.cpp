#include "dist/json.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <limits>
#include <vector>

#include "dist/error.h"
#include "dist/file.h"

namespace saddle {
namespace {

using nlohmann::json;

constexpr size_t kDeepest = 64;
constexpr size_t kMostValues = size_t{1} << 20;  // each takes up to 80 bytes, and more with its key
constexpr size_t kBytesAValue = 8;               // of long texts, of which more is believed

// Tells how far the parser has come.
struct Position {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at;
  const char** furthest;

  const char& operator*() const { return *at; }
  Position& operator++() {
    *furthest = ++at;
    return *this;
  }
  Position operator++(int) {
    const Position before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Position& other) const { return at == other.at; }
  bool operator!=(const Position& other) const { return at != other.at; }
};

std::string utf8(const std::string& text) {
  return json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace)).get<std::string>();
}

// "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while parsing value -
// invalid literal; last read: 'x'" -> "invalid literal; last read: 'x'"
std::string reason_of(const std::string& what) {
  constexpr size_t kMost = 160;
  const size_t dash = what.find(" - "), bracket = what.find("] ");
  const size_t from = dash != std::string::npos ? dash + 3 : bracket != std::string::npos ? bracket + 2 : 0;
  return utf8(what.substr(from, kMost));
}

// Makes the value from the inside out: what is open, outermost first.
class Builder : public json::json_sax_t {
 public:
  Builder(std::string_view text, const std::string& where)
      : text_(text),
        where_(where),
        furthest_(text.data()),
        most_values_(std::max(kMostValues, text.size() / kBytesAValue)) {}

  json parse() {
    const Position begin{text_.data(), &furthest_}, end{text_.data() + text_.size(), &furthest_};
    json::sax_parse(begin, end, this);
    return std::move(root_);
  }

  bool null() override { return add(json()); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // JSON has none
  bool start_object(size_t) override { return start(json::object()); }
  bool start_array(size_t) override { return start(json::array()); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }

  bool key(string_t& name) override {
    open_.back().key = std::move(name);
    open_.back().place = offset();
    return true;
  }

  bool parse_error(size_t position, const std::string&, const json::exception& error) override {
    fail_at(position > 0 ? position - 1 : 0, "malformed JSON: " + reason_of(error.what()));
  }

 private:
  struct Open {
    json value;
    std::string key = {};
    size_t place = 0;  // behind the key
  };

  size_t offset() const { return size_t(furthest_ - text_.data()); }

  bool start(json value) {
    count();
    if (open_.size() >= kDeepest)
      fail_at(offset() - 1, fmt::format("nested too deeply, more than {} levels", kDeepest));
    open_.push_back({.value = std::move(value)});
    return true;
  }

  bool end() {
    json value = std::move(open_.back().value);
    open_.pop_back();
    return put(std::move(value));
  }

  void count() {
    if (++values_ > most_values_) fail_at(offset() - 1, fmt::format("more than {} values", most_values_));
  }

  bool add(json value) {
    count();
    return put(std::move(value));
  }

  bool put(json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return true;
    }
    Open& into = open_.back();
    if (into.value.is_array())
      into.value.push_back(std::move(value));
    else if (const auto at = into.value.find(into.key); at != into.value.end())
      fail_at(into.place - std::min(into.place, into.key.size() + 2),
              fmt::format("the key {} occurs twice, as {} and as {}", excerpt(into.key), excerpt(*at),
                          excerpt(value)));
    else
      into.value.emplace(std::move(into.key), std::move(value));
    return true;
  }

  [[noreturn]] void fail_at(size_t place, const std::string& what) const {
    const std::string_view before = text_.substr(0, std::min(place, text_.size()));
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const size_t column = before.size() - (before.rfind('\n') + 1) + 1;
    fail(Exit::data, "{}{}line {}, column {}: {}", where_, where_.empty() ? "" : ": ", line, column, what);
  }

  const std::string_view text_;
  const std::string& where_;
  const char* furthest_;
  const size_t most_values_;
  size_t values_ = 0;
  std::vector<Open> open_;
  json root_;
};

[[noreturn]] void fail_kind(const char* expected, const json& found) {
  fail(Exit::data, "expected {}, found {}", expected, excerpt(found));
}

// Puts the key before what `get` throws.
template <class Get>
decltype(auto) get_at(const json& object, const char* key, Get get) {
  const json& value = value_at(object, key);
  try {
    return get(value);
  } catch (const Error& error) {
    fail(error.kind, "{}: {}", key, error.what());
  }
}

const json& list(const json& value) {
  if (!value.is_array()) fail_kind("a list", value);
  return value;
}

const json& object(const json& value) {
  if (!value.is_object()) fail_kind("an object", value);
  return value;
}

bool boolean(const json& value) {
  if (!value.is_boolean()) fail_kind("true or false", value);
  return value.get<bool>();
}

int64_t count(const json& value) {
  const bool fits = value.is_number_integer() && integer(value) >= 0;
  if (!fits) fail_kind("an integer that is not negative", value);
  return integer(value);
}

}  // namespace

json parse_json(std::string_view text, const std::string& where) {
  for (const std::string_view mark : {"\xff\xfe", "\xfe\xff"})
    require(!text.starts_with(mark), Exit::data, "{}{}expected UTF-8, found UTF-16; save it as UTF-8", where,
            where.empty() ? "" : ": ");
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  return Builder(text, where).parse();
}

json read_json(const std::string& path, int64_t most) {
  return parse_json(read_file(path, most), path);
}

std::string excerpt(const json& value) {
  constexpr size_t kMost = 80;
  constexpr auto kReplace = json::error_handler_t::replace;
  std::string out = value.dump(-1, ' ', false, kReplace);
  if (out.size() <= kMost) return out;
  size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0) == 0x80) --end;  // within a character
  return out.substr(0, end) + "...";
}

int64_t integer(const json& value) {
  constexpr auto kMost = uint64_t(std::numeric_limits<int64_t>::max());
  const bool fits = value.is_number_unsigned() ? value.get<uint64_t>() <= kMost : value.is_number_integer();
  if (!fits) fail_kind("an integer", value);
  return value.get<int64_t>();
}

double number(const json& value) {
  if (!value.is_number()) fail_kind("a number", value);
  return value.get<double>();
}

const std::string& text(const json& value) {
  if (!value.is_string()) fail_kind("a text", value);
  return value.get_ref<const std::string&>();
}

const json& value_at(const json& object, const char* key) {
  if (!object.is_object()) fail_kind(fmt::format("an object with \"{}\"", key).c_str(), object);
  const auto at = object.find(key);
  require(at != object.end(), Exit::data, "expected the key \"{}\", found none", key);
  return *at;
}

int64_t integer_at(const json& object, const char* key) {
  return get_at(object, key, integer);
}

bool boolean_at(const json& object, const char* key) {
  return get_at(object, key, boolean);
}

int64_t count_at(const json& object, const char* key) {
  return get_at(object, key, count);
}

double number_at(const json& object, const char* key) {
  return get_at(object, key, number);
}

const std::string& text_at(const json& object, const char* key) {
  return get_at(object, key, text);
}

const json& list_at(const json& object, const char* key) {
  return get_at(object, key, list);
}

const json& object_at(const json& object, const char* key) {
  return get_at(object, key, saddle::object);
}

}  // namespace saddle
