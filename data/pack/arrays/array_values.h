// The numbers of an array, as tensors.
#pragma once

#include <string>

#include "data/pack/arrays/arrays.h"
#include "data/pack/arrays/values.h"

namespace saddle {

bool is_integer(const Array& array);  // or bool

torch::ScalarType stored_dtype(const Element& element);

// Items [first, first + count) in the dtype in which they are stored, [count, ...].
torch::Tensor items(const Array& array, int64_t first, int64_t count);
// The same numbers in another dtype; Exit::data names the first sample that does not fit, counted from
// `first`.
torch::Tensor converted(const Array& array, const torch::Tensor& stored, torch::ScalarType dtype,
                        int64_t first);
// Bools as integers, and the rest in the widest type of its kind.
torch::Tensor wide(const Array& array, const torch::Tensor& stored, int64_t first);

// Of all finite numbers, or as far as it takes to see one above `enough`; low > high if there are none. What
// is damaged ends it.
ValueRange range_of(const Array& array, double enough);

}  // namespace saddle
