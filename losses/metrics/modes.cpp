#include "losses/metrics/modes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dist/error.h"
#include "dist/tensor.h"
#include "losses/metrics/features.h"

namespace saddle {
namespace {

using torch::Tensor;

bool is_plane(int64_t dimensions) {
  return dimensions <= 2;
}

void check(const Tensor& samples, const Tensor& centers, double sigma) {
  require(samples.dim() == 2 && centers.dim() == 2 && samples.size(1) == centers.size(1), Exit::usage,
          "mode coverage needs samples [N, D] and centers [K, D] of one D");
  require(centers.size(0) > 0, Exit::usage, "mode coverage needs at least one centre");
  require(centers.size(1) <= 2 || centers.size(0) > 1, Exit::usage,
          "mode coverage in {} dimensions measures by the distance of centres: give two or more",
          centers.size(1));
  require(sigma > 0, Exit::usage, "sigma is {}: mode coverage needs a positive one", sigma);
}

double smallest_distance(const Tensor& centers) {
  return distances(centers, centers)
      .fill_diagonal_(std::numeric_limits<double>::infinity())
      .min()
      .item<double>();
}

double reverse_kl(const std::vector<int64_t>& counts, int64_t good) {
  double kl = std::log(static_cast<double>(counts.size()));
  for (int64_t count : counts) {
    double q = static_cast<double>(count) / static_cast<double>(std::max<int64_t>(good, 1));
    if (count > 0) kl += q * std::log(q);
  }
  return std::max(kl, 0.0);
}

}  // namespace

Tensor mode_counts(const Tensor& samples, const Tensor& centers, double sigma) {
  check(samples, centers, sigma);
  torch::NoGradGuard no_grad;
  const Tensor x = samples.to(torch::kCPU, torch::kDouble), c = centers.to(torch::kCPU, torch::kDouble);
  if (x.size(0) == 0) return torch::zeros({c.size(0)}, torch::kLong);
  const auto [distance, nearest] = distances(x, c).min(1);  // [N], [N]
  const Tensor good = distance < (is_plane(x.size(1)) ? 3 * sigma : 0.25 * smallest_distance(c));
  return torch::bincount(nearest.masked_select(good), {}, c.size(0));
}

ModeCoverage mode_coverage(const Tensor& histogram, int64_t samples, int64_t dimensions) {
  require(samples > 0, Exit::usage, "mode coverage needs at least one sample");
  const int64_t k = histogram.numel();
  const std::vector<int64_t> counts(histogram.data_ptr<int64_t>(), histogram.data_ptr<int64_t>() + k);
  // Modes with at least samples * part / whole good ones, and one; in integers, so that 20 of 2,500 are
  // exactly that.
  const auto with_share = [&](int64_t part, int64_t whole) {
    return std::count_if(counts.begin(), counts.end(),
                         [&](int64_t count) { return count > 0 && count * whole >= part * samples; });
  };
  const int64_t good = histogram.sum().item<int64_t>();
  return {.modes = is_plane(dimensions) ? with_share(0, 1) : with_share(1, 10 * k),
          .total = k,
          .solid_modes = with_share(20, 2500),
          .high_quality = static_cast<double>(good) / static_cast<double>(samples),
          .reverse_kl = reverse_kl(counts, good),
          .counts = counts};
}

ModeCoverage mode_coverage(const Tensor& samples, const Tensor& centers, double sigma) {
  return mode_coverage(mode_counts(samples, centers, sigma), samples.size(0), samples.size(1));
}

}  // namespace saddle
