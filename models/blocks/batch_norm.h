// Batch normalisation over the global batch (Ioffe and Szegedy 2015, algorithm 1): ranks share mean and
// variance, so N ranks with a batch of B/N each compute what one rank with batch B does.
#pragma once

#include "models/module.h"

namespace saddle {

// Input [B, C, ...], where B may differ among ranks and be 0 on some; output in its dtype and memory format.
// Statistics and running averages are float32 for inputs below it. Running averages as PyTorch keeps them
// (momentum 0.1, unbiased variance). Collective in training mode, and so are its derivatives
// (dist/differentiable.h): the first is a fused kernel, one of which a derivative is asked is made of
// differentiable operations, and has any. (On one rank PyTorch's own has two.)
class BatchNorm final : public Module {
 public:
  // The scale starts as N(1, stddev), the shift as 0.
  BatchNorm(Maker& make, int64_t channels, double stddev = 0, double momentum = 0.1, double eps = 1e-5);
  torch::Tensor forward(const torch::Tensor& x);

  torch::Tensor weight, bias;               // [C], parameters
  torch::Tensor running_mean, running_var;  // [C], buffers

 private:
  Comm comm_;
  double momentum_, eps_;
};

}  // namespace saddle
