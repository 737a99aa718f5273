// Reads pickles of plain data: a dictionary of lists, texts, numbers and NumPy arrays, as CIFAR's archives
// are, by Python 2 or 3 in protocols 2 to 4. Nothing in them is executed: any class or function but those
// that make an array is refused by its name.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "data/pack/arrays/arrays.h"

namespace saddle {

class Pickle {
 public:
  // Exit::data, beginning with `where`, for a pickle that is damaged or of other things.
  Pickle(std::string bytes, std::string where);
  Pickle(const Pickle&) = delete;

  // Of the dictionary that the pickle is. The keys may be text or bytes. Exit::data if there is none such.
  bool has(std::string_view key) const;
  std::vector<int64_t> integers(std::string_view key) const;
  std::vector<std::string> texts(std::string_view key) const;

  struct View {
    Element element;
    std::vector<int64_t> shape;
    bool fortran = false;
    std::string_view data;  // as long as this pickle lives; as many bytes as the shape needs
  };
  View array(std::string_view key) const;

 private:
  friend class Unpickler;
  enum class Kind : uint8_t { none, boolean, integer, real, text, tuple, list, dict, global, dtype, array };
  // Values are numbers of this table, so that cycles and deep nests need neither care nor stack to free.
  struct Value {
    Kind kind = Kind::none;
    bool flag = false;                 // a bool, or that an array is in Fortran order
    int64_t integer = 0;               // or the byte order of a dtype
    std::string_view text = {};        // also of a global and of a dtype
    std::vector<uint32_t> items = {};  // key and value in turn of a dict; shape, dtype and data of an array
  };
  const Value* find(std::string_view key) const;
  const Value& need(std::string_view key) const;

  std::string bytes_, where_;
  std::deque<std::string> made_;  // texts that are not in bytes_ as they are
  std::vector<Value> values_;
  uint32_t root_ = 0;
};

}  // namespace saddle
