// Spectral normalisation (Miyato et al. 2018, "Spectral normalization for generative adversarial networks",
// algorithm 1): a weight divided by its largest singular value, estimated by power iteration.
#pragma once

#include "models/module.h"

namespace saddle {

// The weight is seen as a matrix with `rows` rows, its dimension `dim`: 0 for linear layers and convolutions
// [out, ...], 1 for transposed convolutions [in, out, ...]. The vector u starts from the Maker's stream and
// then depends on weights only, so that it is the same on all ranks without a collective.
class SpectralNorm final : public Module {
 public:
  SpectralNorm(Maker& make, int64_t rows, int64_t dim = 0, int iterations = 1);
  // weight / sigma, where sigma = u' W v with u and v constants (equation 19 and appendix A): any derivative
  // in the weight. Each call in training mode does `iterations` steps of u, in evaluation mode none. Outside
  // autocast's reach; in the weight's dtype and memory format.
  torch::Tensor forward(const torch::Tensor& weight);

  torch::Tensor u;  // [rows], of length 1, buffer. A weight of one row has none: its norm is sigma

 private:
  torch::Tensor sigma(const torch::Tensor& matrix);
  int64_t dim_;
  int iterations_;
};

}  // namespace saddle
