// Values of a field as the integers that they are.
#pragma once

#include "dist/tensor.h"

#include <cstdint>

namespace saddle {

// Calls `work(values, count)` with the values as what they are; false for floats.
template <class Work>
bool as_integers(torch::ScalarType dtype, const void* bytes, int64_t count, Work work) {
  const auto as = [&]<class T>(T) { return work(static_cast<const T*>(bytes), count), true; };
  switch (dtype) {
    case torch::kByte:
      return as(uint8_t{});
    case torch::kChar:
      return as(int8_t{});
    case torch::kUInt16:
      return as(uint16_t{});
    case torch::kShort:
      return as(int16_t{});
    case torch::kInt:
      return as(int32_t{});
    case torch::kLong:
      return as(int64_t{});
    default:
      return false;
  }
}

}  // namespace saddle
