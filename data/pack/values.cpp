#include "data/pack/values.h"

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

torch::Tensor scaled(const torch::Tensor& values, ValueRange range) {
  const torch::Tensor from = values.to(torch::kDouble).contiguous();
  torch::Tensor out = torch::empty(from.sizes(), torch::kUInt16);
  const double* in = from.const_data_ptr<double>();
  auto* to = out.data_ptr<uint16_t>();
  for (int64_t i = 0; i < from.numel(); ++i) to[i] = scaled(in[i], range);
  return out;
}

}  // namespace saddle
