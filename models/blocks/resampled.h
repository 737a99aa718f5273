// 3x3 convolutions beside a resampling, as one convolution of 4x4: less than half the arithmetic, the same
// numbers.
//   nearest x2, then 3x3  =  transposed 4x4 of stride 2, whose kernel is the sum of the four one-pixel
// shifts of
//                            the 3x3 one
//   3x3, then 2x2 mean    =  4x4 of stride 2, of the same sum over four
// Borders of zeros. The 3x3 kernel is the parameter, so that weights are those of the plain layers.
#pragma once

#include "models/blocks/layers.h"

namespace saddle {

// [B, in, H, W] -> [B, out, 2H, 2W].
class UpConv2d final : public Weighted {
 public:
  UpConv2d(Maker& make, int64_t in, int64_t out, LayerOptions options = {}, bool folded = true);
  torch::Tensor forward(const torch::Tensor& x) const;

 private:
  bool folded_;
};

// [B, in, H, W] -> [B, out, H / 2, W / 2], of even H and W.
class DownConv2d final : public Weighted {
 public:
  DownConv2d(Maker& make, int64_t in, int64_t out, LayerOptions options = {}, bool folded = true);
  torch::Tensor forward(const torch::Tensor& x) const;

 private:
  bool folded_;
};

torch::Tensor doubled(const torch::Tensor& x);  // nearest
torch::Tensor halved(const torch::Tensor& x);   // mean of 2x2

}  // namespace saddle
