#include <cstring>

#include "data/pack/arrays/pickle.h"
#include "dist/error.h"
#include "dist/utf8.h"

namespace saddle {

bool Pickle::has(std::string_view key) const {
  return find(key) != nullptr;
}

const Pickle::Value* Pickle::find(std::string_view key) const {
  const auto& items = values_[root_].items;
  for (size_t i = items.size(); i >= 2; i -= 2)  // of equal keys the last
    if (values_[items[i - 2]].kind == Kind::text && values_[items[i - 2]].text == key)
      return &values_[items[i - 1]];
  return nullptr;
}

const Pickle::Value& Pickle::need(std::string_view key) const {
  const Value* found = find(key);
  require(found != nullptr, Exit::data, "{}: expected an entry \"{}\", found none", where_, key);
  return *found;
}

std::vector<int64_t> Pickle::integers(std::string_view key) const {
  const Value& from = need(key);
  std::vector<int64_t> out;
  if (from.kind == Kind::array) {
    const View view = array(key);
    require(view.element.kind == 'i' && view.element.bytes == 8 && !view.element.swapped &&
                view.shape.size() == 1,
            Exit::data, "{}: expected \"{}\" to be int64 [N]", where_, key);
    out.resize(size_t(view.shape[0]));
    std::memcpy(out.data(), view.data.data(), view.data.size());
    return out;
  }
  require(from.kind == Kind::list, Exit::data, "{}: expected \"{}\" to be a list of integers", where_, key);
  for (const uint32_t index : from.items) {
    require(values_[index].kind == Kind::integer, Exit::data, "{}: expected only integers in \"{}\"", where_,
            key);
    out.push_back(values_[index].integer);
  }
  return out;
}

std::vector<std::string> Pickle::texts(std::string_view key) const {
  const Value& from = need(key);
  require(from.kind == Kind::list, Exit::data, "{}: expected \"{}\" to be a list of texts", where_, key);
  std::vector<std::string> out;
  for (const uint32_t index : from.items) {
    require(values_[index].kind == Kind::text, Exit::data, "{}: expected only texts in \"{}\"", where_, key);
    out.push_back(to_utf8(values_[index].text));
  }
  return out;
}

Pickle::View Pickle::array(std::string_view key) const {
  const Value& from = need(key);
  require(from.kind == Kind::array && from.items.size() == 3, Exit::data,
          "{}: expected \"{}\" to be a NumPy array", where_, key);
  const Value &shape = values_[from.items[0]], &dtype = values_[from.items[1]];
  const auto element = element_of(char(dtype.integer) + std::string(dtype.text));
  require(element.has_value(), Exit::data, "{}: expected \"{}\" to be of numbers, found dtype {}", where_,
          key, to_utf8(dtype.text.substr(0, 100)));
  View view{.element = *element, .shape = {}, .fortran = from.flag, .data = values_[from.items[2]].text};
  for (const uint32_t index : shape.items) {
    require(values_[index].kind == Kind::integer, Exit::data, "{}: \"{}\": damaged shape", where_, key);
    view.shape.push_back(values_[index].integer);
  }
  const std::string where = fmt::format("{}: \"{}\"", where_, key);
  const int64_t bytes = checked_bytes(view.shape, element->bytes, int64_t(view.data.size()), where);
  require(bytes == int64_t(view.data.size()), Exit::data, "{}: expected {} bytes, found {}", where, bytes,
          view.data.size());
  return view;
}

}  // namespace saddle
