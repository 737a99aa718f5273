// What a field shows, told from its shape and dtype: the schema itself does not say.
#pragma once

#include <string>

#include "data/schema.h"

namespace saddle {

enum class Kind {
  picture,     // [C, H, W]
  label_map,   // integers [1, H, W]: every number a class of its own
  volume,      // [C, D, H, W]
  map_volume,  // integers [1, D, H, W]
  video,       // [T, C, H, W]
  points,      // floats [D], D >= 2
  tokens,      // integers [T] below `classes`
  label,       // one integer below `classes`
  numbers,     // all others
};

Kind kind_of(const Field& field);
bool is_pictorial(Kind kind);  // picture to video: can be drawn in a cell of a contact sheet

std::string class_name(const Field& field, int64_t label);  // its number if it has none

}  // namespace saddle
