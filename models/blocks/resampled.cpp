#include "models/blocks/resampled.h"

#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/upsample_nearest2d.h>

namespace saddle {
namespace {

using torch::Tensor;

// [.., 3, 3] -> [.., 4, 4]: the sum of its shifts by 0 and 1 in both directions.
Tensor spread(const Tensor& kernel) {
  const auto shifted = [](const Tensor& k, int64_t dim) {
    std::vector<int64_t> before(4), after(4);  // from the last dimension on: its beginning, its end
    before[dim == 3 ? 0 : 2] = after[dim == 3 ? 1 : 3] = 1;
    return at::constant_pad_nd(k, before) + at::constant_pad_nd(k, after);
  };
  return shifted(shifted(kernel, 3), 2);
}

}  // namespace

Tensor doubled(const Tensor& x) {
  return at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)});
}

Tensor halved(const Tensor& x) {
  return at::avg_pool2d(x, {2, 2});
}

UpConv2d::UpConv2d(Maker& make, int64_t in, int64_t out, LayerOptions options, bool folded)
    : folded_(folded) {
  make_weights(make, {out, in, 3, 3}, out, 9 * in, options);
}

Tensor UpConv2d::forward(const Tensor& x) const {
  if (!folded_) return torch::conv2d(doubled(x), used(), bias, /*stride=*/1, /*padding=*/1);
  return torch::conv_transpose2d(x, spread(used().flip({2, 3}).transpose(0, 1)), bias, /*stride=*/2,
                                 /*padding=*/1);
}

DownConv2d::DownConv2d(Maker& make, int64_t in, int64_t out, LayerOptions options, bool folded)
    : folded_(folded) {
  make_weights(make, {out, in, 3, 3}, out, 9 * in, options);
}

Tensor DownConv2d::forward(const Tensor& x) const {
  if (!folded_) return halved(torch::conv2d(x, used(), bias, /*stride=*/1, /*padding=*/1));
  return torch::conv2d(x, spread(used()) / 4, bias, /*stride=*/2, /*padding=*/1);
}

}  // namespace saddle
