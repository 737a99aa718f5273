// The fields that arrays become, and how their samples are read.
#pragma once

#include <functional>

#include "data/pack/arrays/array_roles.h"

namespace saddle {

struct ArrayField {
  Field field;
  std::function<torch::Tensor(int64_t)> read;  // of sample i, [1, ...]
  bool serial = false;
  std::function<int64_t(int64_t)> label = {};
};

// Pictures of other numbers than bytes, and bytes that use but a few of their values, are scaled by --range;
// Exit::usage names the range that was found if none is given. `main`: the first of the schema. `notes`: what
// the reader should know of the numbers.
ArrayField field_of(const ArrayColumn& column, const PackRequest& request, bool main,
                    std::vector<std::string>& notes);

}  // namespace saddle
