#include "losses/metrics/frechet.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_svdvals.h>

#include <cmath>
#include <limits>

#include "dist/error.h"
#include "dist/tensor.h"

namespace saddle {
namespace {

using torch::Tensor;

struct Gaussian {
  Tensor mean;  // [D]
  Tensor root;  // R of [min(N, D), D] with R^T R = covariance
};

// The triangle of a QR: a covariance formed and rooted would lose half the digits, and all of them where it
// is singular.
Gaussian fit(const Tensor& features) {
  const Tensor mean = features.mean(0);
  const Tensor centered = (features - mean) / std::sqrt(static_cast<double>(features.size(0) - 1));
  return {mean, std::get<1>(torch::linalg_qr(centered, "r"))};
}

// tr (S1^1/2 S2 S1^1/2)^1/2: the sum of the singular values of R1 R2^T.
Tensor trace_of_mean(const Gaussian& p, const Gaussian& q) {
  return torch::linalg_svdvals(p.root.mm(q.root.t())).sum();
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
  auto distance = (p.mean - q.mean).square().sum() + p.root.square().sum() + q.root.square().sum() -
                  2 * trace_of_mean(p, q);
  return distance.item<double>();
}

}  // namespace saddle
