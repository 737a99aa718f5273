// What the arrays of a file are to a data set: pictures, label maps, features, labels, or just numbers.
#pragma once

#include <string>
#include <vector>

#include "data/pack/arrays/arrays.h"

namespace saddle {

enum class ArrayRole { picture, features, label, map, other };

struct ArrayColumn {
  Array array;
  ArrayRole role = ArrayRole::other;
  std::string name = {};  // of the field
  std::string base = {};  // of the array within its groups, without the mark of its part
};

std::string describe(const Array& array);  // "uint8 [10, 28, 28]"
bool is_bytes(const Array& array);         // uint8, uint16 or bool: as pictures are stored

// "y" of "y_train", "train/y" and "group/y".
std::string array_base(const std::string& name);

// The arrays of the part that is asked for, in the order of the fields: the main one first, never a label.
// Exit::data if there is none, Exit::usage if it may be pictures or not. `notes`: what was left out, and why.
std::vector<ArrayColumn> columns_of(std::vector<Array> arrays, const PackRequest& request,
                                    std::vector<std::string>& notes);

}  // namespace saddle
