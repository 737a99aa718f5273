// How values enter a net: uint8 and uint16 as floats in [-1, 1], other floats cast, integers as they are.
// Plain loops over a row, as torch's own operators would start a team of OpenMP threads in every reader.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>

namespace saddle {

// The dtype of a net's input made from `raw`, where floats are `dtype`.
c10::ScalarType model_type(c10::ScalarType raw, c10::ScalarType dtype);

// Converts `count` values; null where they are copied as they are.
using Convert = void (*)(const void* from, void* to, int64_t count);
Convert converter(c10::ScalarType from, c10::ScalarType to);

// What 1 is away from the middle: x / scale - 1; 0 for dtypes that are only cast.
float pixel_scale(c10::ScalarType raw);

}  // namespace saddle
