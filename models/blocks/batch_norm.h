// Batch normalisation over the global batch (Ioffe and Szegedy 2015, algorithm 1): ranks share mean and
// variance, so N ranks with a batch of B/N each compute what one rank with batch B does.
#pragma once

#include "models/module.h"

namespace saddle {

// Collective where it runs in training mode: every rank must call, with at least one sample; counts may
// differ. Input [B, C, ...]. Running averages as PyTorch keeps them (momentum 0.1, unbiased variance). A
// second derivative is available on one rank only: across ranks it throws, naming the alternatives.
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
