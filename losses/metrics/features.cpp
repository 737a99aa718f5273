#include "losses/metrics/features.h"

#include <ATen/ops/argsort.h>
#include <ATen/ops/isfinite.h>

#include <algorithm>

#include "dist/error.h"

namespace saddle {

using torch::Tensor;

MeanStd mean_std(const std::vector<double>& values) {
  const Tensor all = torch::tensor(values, torch::kDouble);
  return {all.mean().item<double>(), all.std(/*unbiased=*/false).item<double>()};
}

void require_features(const char* measure, const Tensor& a, const Tensor& b, int64_t least) {
  require(a.dim() == 2 && b.dim() == 2 && a.size(1) == b.size(1) && a.size(1) > 0, Exit::usage,
          "{} needs features [N, D] and [M, D] of one D", measure);
  require(a.size(0) >= least && b.size(0) >= least, Exit::usage,
          "{} needs at least {} samples a side: got {} and {}", measure, least, a.size(0), b.size(0));
}

bool all_finite(const Tensor& features) {
  return torch::isfinite(features).all().item<bool>();
}

std::vector<Range> pieces(int64_t total, int64_t size) {
  require(size > 0, Exit::usage, "pieces of {} samples: give one or more", size);
  std::vector<Range> all;
  for (int64_t first = 0; first < total; first += size)
    all.push_back({.first = first, .count = std::min(size, total - first)});
  return all;
}

Tensor rows_of(const Tensor& features, Range range) {
  return features.narrow(0, range.first, range.count).to(torch::kCPU, torch::kDouble);
}

Tensor distances(const Tensor& a, const Tensor& b) {
  constexpr int64_t kWithoutProducts = 2;
  return torch::cdist(a, b, 2, kWithoutProducts);
}

Tensor subset(const Stream& stream, int64_t total, int64_t size) {
  require(size >= 0 && size <= total, Exit::usage, "a subset of {} different samples of {} does not exist",
          size, total);
  const Tensor digits = uniform(stream, {.first = 0, .count = total}, {2}, torch::kDouble);
  const Tensor place = digits.select(1, 0) + digits.select(1, 1) * 0x1p-24;  // 48 random bits
  return torch::argsort(place, /*stable=*/true, /*dim=*/0, /*descending=*/false).narrow(0, 0, size);
}

}  // namespace saddle
