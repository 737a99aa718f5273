#include "models/blocks/spectral_norm.h"

#include <ATen/autocast_mode.h>

namespace saddle {
namespace {

torch::Tensor unit(const torch::Tensor& x) {
  return x / x.norm().clamp_min(1e-12);
}

}  // namespace

SpectralNorm::SpectralNorm(Maker& make, int64_t rows, int64_t dim, int iterations)
    : dim_(dim), iterations_(iterations) {
  if (rows > 1) u = buffer("u", unit(make.normal({rows}, 0, 1)));
}

torch::Tensor SpectralNorm::sigma(const torch::Tensor& matrix) {
  if (!u.defined()) return matrix.norm();
  torch::Tensor left = u.clone(), right;  // graphs keep these while the buffer moves on
  {
    at::NoGradGuard no_grad;
    const int steps = training() ? iterations_ : 0;
    for (int i = 0; i < steps; ++i) {
      right = unit(matrix.t().mv(left));
      left = unit(matrix.mv(right));
    }
    if (steps == 0) right = unit(matrix.t().mv(left));
    if (steps > 0) u.copy_(left);
  }
  return left.dot(matrix.mv(right));
}

torch::Tensor SpectralNorm::forward(const torch::Tensor& weight) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  return weight / sigma(weight.transpose(0, dim_).flatten(1));
}

}  // namespace saddle
