#include "data/pack/arrays/pickle.h"

#include <array>
#include <cstring>
#include <unordered_map>

#include "dist/error.h"
#include "dist/utf8.h"

namespace saddle {

// The stack machine of Python's pickletools, as far as plain data need it.
class Unpickler {
 public:
  explicit Unpickler(Pickle& out) : out_(out), text_(out.bytes_) {
    for (const Kind kind : {Kind::none, Kind::boolean, Kind::boolean}) add({.kind = kind});
    out_.values_[kTrue].flag = true;
  }

  uint32_t run() {
    check(take(1) == "\x80", "a pickle of protocol 2 to 4");
    const uint64_t protocol = number(1);
    check(protocol >= 2 && protocol <= 4, fmt::format("protocol 2 to 4, not {}", protocol));
    for (;;) {
      const auto op = static_cast<unsigned char>(take(1)[0]);
      if (op == '.') return pop();
      if (!scalar(op) && !text(op) && !container(op) && !memory(op) && !object(op))
        check(false, fmt::format("plain data, not opcode 0x{:02x}", op));
    }
  }

 private:
  using Kind = Pickle::Kind;
  using Value = Pickle::Value;
  static constexpr uint32_t kNone = 0, kFalse = 1, kTrue = 2;  // in the table from the beginning
  static constexpr size_t kMostValues = 1 << 22;               // CIFAR-100 has 150,000

  // --- Numbers ---

  bool scalar(unsigned char op) {
    switch (op) {
      case 0x95:  // a frame, which promises that so many bytes follow
        number(8);
        return true;
      case 'N':
        push(kNone);
        return true;
      case 0x88:
        push(kTrue);
        return true;
      case 0x89:
        push(kFalse);
        return true;
      case 'K':
        return integer(int64_t(number(1)));
      case 'M':
        return integer(int64_t(number(2)));
      case 'J':
        return integer(int32_t(number(4)));
      case 0x8a:
        return long_integer();
      case 'G':
        take(8);
        push(add({.kind = Kind::real}));
        return true;
      default:
        return false;
    }
  }

  bool integer(int64_t value) {
    push(add({.kind = Kind::integer, .integer = value}));
    return true;
  }

  bool long_integer() {  // two's complement, as short as can be
    const uint64_t bytes = number(1);
    check(bytes <= 8, "integers of 64 bits");
    uint64_t value = number(int64_t(bytes));
    if (bytes > 0 && bytes < 8 && value >> (bytes * 8 - 1)) value |= ~uint64_t{0} << (bytes * 8);
    return integer(int64_t(value));
  }

  // --- Texts and bytes, which Python 2 does not tell apart ---

  bool text(unsigned char op) {
    struct Row {
      unsigned char op;
      int64_t length_bytes;
    };
    static constexpr std::array<Row, 8> kRows{
        {{'U', 1}, {'T', 4}, {'X', 4}, {0x8c, 1}, {0x8d, 8}, {'C', 1}, {'B', 4}, {0x8e, 8}}};
    for (const Row& row : kRows)
      if (row.op == op) {
        push(add({.kind = Kind::text, .text = take(number(row.length_bytes))}));
        return true;
      }
    return false;
  }

  // --- Containers ---

  bool container(unsigned char op) {
    switch (op) {
      case '(':
        marks_.push_back(stack_.size());
        return true;
      case ')':
        return made(Kind::tuple, {});
      case 0x85:
      case 0x86:
      case 0x87:
        return made(Kind::tuple, last(op - 0x84));
      case 't':
        return made(Kind::tuple, to_mark());
      case ']':
        return made(Kind::list, {});
      case '}':
        return made(Kind::dict, {});
      case 'a':
        return extend(Kind::list, last(1));
      case 'e':
        return extend(Kind::list, to_mark());
      case 's':
        return extend(Kind::dict, last(2));
      case 'u':
        return extend(Kind::dict, to_mark());
      default:
        return false;
    }
  }

  bool made(Kind kind, std::vector<uint32_t> items) {
    push(add({.kind = kind, .items = std::move(items)}));
    return true;
  }

  bool extend(Kind kind, const std::vector<uint32_t>& items) {
    Value& to = top();
    check(to.kind == kind && (kind != Kind::dict || items.size() % 2 == 0), "a list or dictionary to extend");
    to.items.insert(to.items.end(), items.begin(), items.end());
    return true;
  }

  // --- What is used again ---

  bool memory(unsigned char op) {
    switch (op) {
      case 'q':
        return keep(number(1));
      case 'r':
        return keep(number(4));
      case 0x94:
        return keep(memo_.size());
      case 'h':
        return recall(number(1));
      case 'j':
        return recall(number(4));
      default:
        return false;
    }
  }

  bool keep(uint64_t index) {
    top();
    memo_[index] = stack_.back();
    return true;
  }

  bool recall(uint64_t index) {
    const auto found = memo_.find(index);
    check(found != memo_.end(), "a value kept before");
    push(found->second);
    return true;
  }

  // --- NumPy arrays ---

  bool object(unsigned char op) {
    switch (op) {
      case 'c': {
        const std::string_view module = line(), name = line();
        return global(module, name);
      }
      case 0x93: {
        const auto names = last(2);
        check(kind(names[0]) == Kind::text && kind(names[1]) == Kind::text, "the name of a global");
        return global(value(names[0]).text, value(names[1]).text);
      }
      case 'R':
        return reduce();
      case 'b':
        return build();
      default:
        return false;
    }
  }

  bool global(std::string_view module, std::string_view name) {
    static constexpr std::array<std::array<std::string_view, 2>, 5> kKnown{
        {{"numpy.core.multiarray", "_reconstruct"},
         {"numpy._core.multiarray", "_reconstruct"},
         {"numpy", "ndarray"},
         {"numpy", "dtype"},
         {"_codecs", "encode"}}};
    for (const auto& known : kKnown)
      if (known[0] == module && known[1] == name) {
        push(add({.kind = Kind::global, .text = known[1]}));
        return true;
      }
    check(false,
          fmt::format("plain data, not {}.{}", to_utf8(module.substr(0, 100)), to_utf8(name.substr(0, 100))));
    return false;
  }

  bool reduce() {
    const auto call = last(2);
    const std::string_view function = kind(call[0]) == Kind::global ? value(call[0]).text : "";
    check(!function.empty() && function != "ndarray" && kind(call[1]) == Kind::tuple, "a call of NumPy's");
    const std::vector<uint32_t> arguments = value(call[1]).items;
    if (function == "_reconstruct") {
      push(add({.kind = Kind::array}));
    } else if (function == "dtype") {
      check(!arguments.empty() && kind(arguments[0]) == Kind::text, "the name of a dtype");
      push(add({.kind = Kind::dtype, .integer = '|', .text = value(arguments[0]).text}));
    } else {
      push(add({.kind = Kind::text, .text = encoded(arguments)}));
    }
    return true;
  }

  // bytes as Python 3 writes them in protocol 2: a text in UTF-8 to be encoded as Latin-1. Each is decoded
  // once, or the same text, called for again and again, would fill the memory.
  std::string_view encoded(const std::vector<uint32_t>& arguments) {
    check(arguments.size() == 2 && kind(arguments[0]) == Kind::text && kind(arguments[1]) == Kind::text &&
              value(arguments[1]).text.starts_with("latin"),
          "a text in Latin-1");
    const std::string_view from = value(arguments[0]).text;
    decoded_ += from.size();
    check(decoded_ <= text_.size(), "texts in Latin-1 that are used once");
    std::string to;
    for (size_t i = 0; i < from.size(); ++i) {
      const auto c = static_cast<unsigned char>(from[i]);
      const bool two = (c & 0xfc) == 0xc0 && i + 1 < from.size();
      check(c < 0x80 || two, "a text in Latin-1");
      to += two ? char(c << 6 | (from[++i] & 0x3f)) : char(c);
    }
    return out_.made_.emplace_back(std::move(to));
  }

  bool build() {
    const uint32_t state = pop();
    Value& object = top();
    check(kind(state) == Kind::tuple && (object.kind == Kind::dtype || object.kind == Kind::array),
          "the state of an array");
    const std::vector<uint32_t>& items = value(state).items;
    if (object.kind == Kind::dtype) {
      check(items.size() >= 5 && kind(items[1]) == Kind::text && value(items[1]).text.size() == 1 &&
                kind(items[2]) == Kind::none && kind(items[3]) == Kind::none && kind(items[4]) == Kind::none,
            "a dtype of plain numbers");
      object.integer = value(items[1]).text[0];
    } else {
      check(items.size() == 5 && kind(items[1]) == Kind::tuple && kind(items[2]) == Kind::dtype &&
                kind(items[3]) == Kind::boolean && kind(items[4]) == Kind::text,
            "the state of an array of numbers");
      object.flag = value(items[3]).flag;
      object.items = {items[1], items[2], items[4]};
    }
    return true;
  }

  // --- Bytes, values, stack ---

  std::string_view take(uint64_t count) {
    check(count <= text_.size() - at_, "more bytes: it is cut off");
    at_ += count;
    return text_.substr(at_ - count, count);
  }

  uint64_t number(int64_t bytes) {  // little endian
    const std::string_view from = take(uint64_t(bytes));
    uint64_t value = 0;
    for (int64_t i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(from[size_t(i)]);
    return value;
  }

  std::string_view line() {
    const size_t end = text_.find('\n', at_);
    check(end != std::string_view::npos, "the name of a global");
    const std::string_view out = text_.substr(at_, end - at_);
    at_ = end + 1;
    return out;
  }

  uint32_t add(Value value) {
    check(out_.values_.size() < kMostValues, "fewer values");
    out_.values_.push_back(std::move(value));
    return uint32_t(out_.values_.size() - 1);
  }

  Value& value(uint32_t index) { return out_.values_[index]; }
  Kind kind(uint32_t index) { return value(index).kind; }
  void push(uint32_t index) { stack_.push_back(index); }

  // Of what is above the last mark.
  size_t height() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }

  Value& top() {
    check(height() > 0, "a value on the stack");
    return value(stack_.back());
  }

  uint32_t pop() { return last(1)[0]; }

  std::vector<uint32_t> last(size_t count) {
    check(height() >= count, "values on the stack");
    const std::vector<uint32_t> out(stack_.end() - int64_t(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return out;
  }

  std::vector<uint32_t> to_mark() {
    check(!marks_.empty(), "a mark on the stack");
    auto out = last(height());
    marks_.pop_back();
    return out;
  }

  void check(bool condition, std::string_view expected) const {
    require(condition, Exit::data, "{}: expected {} at byte {}", out_.where_, expected, at_);
  }

  Pickle& out_;
  std::string_view text_;
  size_t at_ = 0;
  size_t decoded_ = 0;
  std::vector<uint32_t> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, uint32_t> memo_;
};

Pickle::Pickle(std::string bytes, std::string where) : bytes_(std::move(bytes)), where_(std::move(where)) {
  root_ = Unpickler(*this).run();
  require(values_[root_].kind == Kind::dict, Exit::data, "{}: expected a dictionary", where_);
}

}  // namespace saddle
