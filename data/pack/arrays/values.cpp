#include "data/pack/arrays/values.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "dist/error.h"

namespace saddle {

ValueRange parse_range(const std::string& text) {
  ValueRange out;
  char rest;
  require(std::sscanf(text.c_str(), "%lf:%lf%c", &out.low, &out.high, &rest) == 2 && std::isfinite(out.low) &&
              std::isfinite(out.high) && out.low < out.high,
          Exit::usage, "--range: expected LOW:HIGH such as -100:300, found {}", text);
  return out;
}

std::string to_text(ValueRange range) {
  return fmt::format("{:g}:{:g}", range.low, range.high);
}

ValueRange usual_range(ValueRange found) {
  constexpr ValueRange kUsual[]{{0, 1}, {-1, 1}, {0, 255}, {0, 1023}, {0, 4095}, {0, 65535}};
  constexpr double kFair = 0.25;
  for (const ValueRange& each : kUsual)
    if (found.low >= each.low && found.high <= each.high && found.high >= kFair * each.high &&
        (each.low == 0 || found.low <= kFair * each.low))
      return each;
  const double width = std::max(found.high - found.low, 1e-30);
  const double step = std::pow(10, std::floor(std::log10(width)) - 1);
  return {.low = std::floor(found.low / step) * step, .high = std::ceil(found.high / step) * step};
}

torch::Tensor scaled(const torch::Tensor& values, ValueRange range) {
  const torch::Tensor from = values.to(torch::kDouble).contiguous();
  torch::Tensor out = torch::empty(from.sizes(), torch::kUInt16);
  const double* in = from.const_data_ptr<double>();
  auto* to = out.data_ptr<uint16_t>();
  for (int64_t i = 0; i < from.numel(); ++i) to[i] = scaled(in[i], range);
  return out;
}

}  // namespace saddle
