#include "losses/metrics/frechet.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_svdvals.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "dist/error.h"
#include "dist/random.h"
#include "dist/tensor.h"
#include "losses/metrics/features.h"

namespace saddle {
namespace {

using Moments = Gaussian::Moments;
using torch::Tensor;

// R of at most D rows with the same R^T R.
Tensor triangle(const Tensor& rows) {
  return rows.size(0) <= rows.size(1) ? rows : std::get<1>(torch::linalg_qr(rows, "r"));
}

// Of both sets: two means apart add one row to the root (Chan, Golub and LeVeque 1979).
Moments merged(const Moments& a, const Moments& b) {
  if (a.count == 0 || b.count == 0) return a.count == 0 ? b : a;
  const double of_a = static_cast<double>(a.count), of_b = static_cast<double>(b.count);
  const Tensor apart = b.mean - a.mean;
  const Tensor between = (apart * std::sqrt(of_a * of_b / (of_a + of_b))).unsqueeze(0);
  return {.count = a.count + b.count,
          .mean = a.mean + apart * (of_b / (of_a + of_b)),
          .root = triangle(torch::cat({a.root, b.root, between}))};
}

Moments merged(const Moments& all, const std::vector<Tensor>& waiting) {
  if (waiting.empty()) return all;
  const Tensor rows = torch::cat(waiting), mean = rows.mean(0);
  return merged(all, {.count = rows.size(0), .mean = mean, .root = triangle(rows - mean)});
}

// Rows that wait before a QR takes them in, so that it costs little more than their products.
int64_t enough(int64_t dims) {
  return std::max<int64_t>(dims, 1024);
}

Gaussian gaussian(const Tensor& features) {
  Gaussian all(features.size(1));
  all.add(features);
  return all;
}

// The intercept of the least-squares line through (x, y).
double intercept(const Tensor& x, const Tensor& y) {
  const Tensor off = x - x.mean();
  return (y.mean() - (off * y).sum() / off.square().sum() * x.mean()).item<double>();
}

}  // namespace

Gaussian::Gaussian(int64_t dims) {
  require(dims >= 1, Exit::usage, "a Gaussian needs features of at least one number: got {}", dims);
  all_ = {.count = 0,
          .mean = torch::zeros({dims}, torch::kDouble),
          .root = torch::zeros({0, dims}, torch::kDouble)};
}

void Gaussian::add(const Tensor& features) {
  require(features.dim() == 2 && features.size(1) == dims(), Exit::usage,
          "this Gaussian is of features [N, {}]", dims());
  const torch::NoGradGuard no_grad;
  for (const Range range : pieces(features.size(0), enough(dims()))) {
    // A copy of our own: the caller may write into his features afterwards.
    const Tensor rows = rows_of(features, range), whole = torch::isfinite(rows).all(1);
    waiting_.push_back(rows.index_select(0, whole.nonzero().squeeze(1)));
    const int64_t finite = waiting_.back().size(0);
    strays_ += range.count - finite;  // LAPACK fails or loops on NaN
    waiting_rows_ += finite;
    if (waiting_rows_ < enough(dims())) continue;
    all_ = merged(all_, waiting_);
    waiting_.clear();
    waiting_rows_ = 0;
  }
}

void Gaussian::merge(const Gaussian& other) {
  require(other.dims() == dims(), Exit::usage, "Gaussians of {} and {} dimensions cannot be merged", dims(),
          other.dims());
  const torch::NoGradGuard no_grad;
  all_ = merged(all_, other.moments());
  strays_ += other.strays_;
}

Gaussian::Moments Gaussian::moments() const {
  const torch::NoGradGuard no_grad;
  return merged(all_, waiting_);
}

std::vector<Tensor> Gaussian::tensors() const {
  const Moments all = moments();
  const Tensor zeros = torch::zeros({dims() - all.root.size(0), dims()}, torch::kDouble);
  return {torch::tensor({all.count, strays_}, torch::kLong), all.mean.clone(), torch::cat({all.root, zeros})};
}

Gaussian Gaussian::from(const std::vector<Tensor>& tensors) {
  require(tensors.size() == 3 && tensors[0].sizes() == at::IntArrayRef{2} && tensors[1].dim() == 1,
          Exit::usage, "a Gaussian is made of counts [2], a mean [D] and a root [D, D]");
  Gaussian made(tensors[1].size(0));
  require(tensors[2].sizes() == at::IntArrayRef{made.dims(), made.dims()}, Exit::usage,
          "a Gaussian of {} dimensions has a square root of as many", made.dims());
  made.all_ = {.count = tensors[0][0].item<int64_t>(),
               .mean = tensors[1].to(torch::kCPU, torch::kDouble),
               .root = tensors[2].to(torch::kCPU, torch::kDouble)};
  made.strays_ = tensors[0][1].item<int64_t>();
  return made;
}

double frechet_distance(const Gaussian& a, const Gaussian& b) {
  require(a.dims() == b.dims(), Exit::usage, "the Frechet distance needs features of one D: got {} and {}",
          a.dims(), b.dims());
  require(a.count() >= 2 && b.count() >= 2, Exit::usage,
          "the Frechet distance needs two samples a side to have a covariance, and 10 D to be of use: got {} "
          "and {}",
          a.count(), b.count());
  const torch::NoGradGuard no_grad;
  if (!a.finite() || !b.finite()) return std::numeric_limits<double>::quiet_NaN();
  const Moments of_a = a.moments(), of_b = b.moments();
  const Tensor p = of_a.root / std::sqrt(static_cast<double>(of_a.count - 1)),
               q = of_b.root / std::sqrt(static_cast<double>(of_b.count - 1)), product = p.mm(q.t());
  if (!all_finite(product)) return std::numeric_limits<double>::quiet_NaN();
  // tr (S1^1/2 S2 S1^1/2)^1/2 is the sum of the singular values of P Q^T.
  const Tensor distance = (of_a.mean - of_b.mean).square().sum() + p.square().sum() + q.square().sum() -
                          2 * torch::linalg_svdvals(product).sum();
  return distance.item<double>();
}

double frechet_distance(const Tensor& a, const Tensor& b) {
  require_features("the Frechet distance", a, b, 2);
  return frechet_distance(gaussian(a), gaussian(b));
}

double frechet_infinity(const Gaussian& real, const Tensor& fake, uint64_t seed) {
  require(fake.dim() == 2 && fake.size(0) >= 4, Exit::usage,
          "the Frechet distance at infinity needs features [N, D] of four fakes at least");
  constexpr int64_t kSizes = 15;
  const int64_t n = fake.size(0), least = std::min<int64_t>(5000, n / 2);
  std::vector<double> inverse, distance;
  for (int64_t i = 0; i < kSizes; ++i) {
    const int64_t size = least + (n - least) * i / (kSizes - 1);
    const Tensor chosen =
        subset({seed, "frechet infinity", static_cast<uint64_t>(i)}, n, size).to(fake.device());
    Gaussian part(fake.size(1));
    for (const Range range : pieces(size, kBlock))
      part.add(fake.index_select(0, chosen.narrow(0, range.first, range.count)));
    inverse.push_back(1 / static_cast<double>(size));
    distance.push_back(frechet_distance(real, part));
  }
  return intercept(torch::tensor(inverse, torch::kDouble), torch::tensor(distance, torch::kDouble));
}

}  // namespace saddle
