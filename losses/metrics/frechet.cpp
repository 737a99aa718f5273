#include "losses/metrics/frechet.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_eigvalsh.h>

#include <limits>

#include "dist/error.h"
#include "dist/tensor.h"

namespace saddle {
namespace {

using torch::Tensor;

struct Gaussian {
  Tensor mean;        // [D]
  Tensor covariance;  // [D, D]
};

Gaussian fit(const Tensor& features) {
  auto mean = features.mean(0);
  auto centered = features - mean;
  return {mean, centered.t().mm(centered) / (features.size(0) - 1)};
}

Tensor square_root(const Tensor& symmetric) {
  auto [values, vectors] = torch::linalg_eigh(symmetric);
  return (vectors * values.clamp_min(0).sqrt()).mm(vectors.t());
}

// tr (S1^1/2 S2 S1^1/2)^1/2
Tensor trace_of_mean(const Tensor& s1, const Tensor& s2) {
  auto root = square_root(s1);
  auto product = root.mm(s2).mm(root);
  return torch::linalg_eigvalsh(0.5 * (product + product.t())).clamp_min(0).sqrt().sum();
}

}  // namespace

double frechet_distance(const Tensor& a, const Tensor& b) {
  require(a.dim() == 2 && b.dim() == 2 && a.size(1) == b.size(1), Exit::usage,
          "the Frechet distance needs features [N, D] and [M, D] of one D");
  require(a.size(0) >= 2 && b.size(0) >= 2, Exit::usage,
          "the Frechet distance needs two samples a side to have a covariance, and 10 D to be of use: got {} "
          "and {}",
          a.size(0), b.size(0));
  torch::NoGradGuard no_grad;
  auto x = a.to(torch::kCPU, torch::kDouble), y = b.to(torch::kCPU, torch::kDouble);
  // LAPACK fails or loops on NaN.
  if (!torch::isfinite(x).all().item<bool>() || !torch::isfinite(y).all().item<bool>())
    return std::numeric_limits<double>::quiet_NaN();
  auto p = fit(x), q = fit(y);
  auto distance = (p.mean - q.mean).square().sum() + p.covariance.trace() + q.covariance.trace() -
                  2 * trace_of_mean(p.covariance, q.covariance);
  return distance.item<double>();
}

}  // namespace saddle
