// Numbers of any range as those of pictures.
#pragma once

#include <optional>
#include <string>

#include "dist/tensor.h"

namespace saddle {

struct ValueRange {
  double low = 0, high = 0;
};

ValueRange parse_range(const std::string& text);  // "LOW:HIGH"; Exit::usage
std::string to_text(ValueRange range);            // which parse_range reads
// What pictures of such values are usually stored in (0:1, -1:1, 0:255 and so on), if they use a fair part of
// it; else the same rounded outwards.
ValueRange usual_range(ValueRange found);
// Of a number, as far as it lies within the range: low is 0, high 65535.
inline uint16_t scaled(double value, ValueRange range) {
  const double at = range.high > range.low ? (value - range.low) * (65535 / (range.high - range.low)) : 0;
  return at > 0 ? uint16_t((at < 65535 ? at : 65535) + 0.5) : uint16_t{0};  // also what is no number
}
torch::Tensor scaled(const torch::Tensor& values, ValueRange range);  // any numbers to uint16

}  // namespace saddle
