#include "losses/metrics/mind.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/sort.h>

#include <algorithm>
#include <vector>

#include "dist/error.h"
#include "dist/tensor.h"
#include "losses/metrics/features.h"

namespace saddle {
namespace {

using torch::Tensor;

constexpr int64_t kDirections = 64;  // at a time: 64 N numbers a side

// The rows of `features` that are compared, [count]: in order, or a random choice.
Tensor compared(const Tensor& features, int64_t count, const at::Generator& generator) {
  const int64_t n = features.size(0);
  return n == count ? torch::arange(n) : torch::randperm(n, generator, torch::kLong).narrow(0, 0, count);
}

// u.x in ascending order, [directions, rows].
Tensor sorted(const Tensor& directions, const Tensor& features, const Tensor& rows) {
  std::vector<Tensor> parts;
  for (const Range range : pieces(features.size(0), kBlock))
    parts.push_back(directions.mm(rows_of(features, range).t()));
  return std::get<0>(torch::sort(torch::cat(parts, 1).index_select(1, rows), 1));
}

}  // namespace

double mind(const Tensor& a, const Tensor& b, const MindOptions& how) {
  require_features("MIND", a, b);
  require(how.directions > 0, Exit::usage, "MIND along {} directions: give one or more", how.directions);
  const torch::NoGradGuard no_grad;
  const int64_t n = std::min(a.size(0), b.size(0)), dims = a.size(1);
  const at::Generator generator = at::detail::createCPUGenerator(how.seed);
  const Tensor rows_a = compared(a, n, generator), rows_b = compared(b, n, generator);
  const Tensor drawn = torch::randn({how.directions, dims}, generator, torch::kFloat);
  const Tensor directions = (drawn / drawn.norm(2, 1, /*keepdim=*/true).clamp_min(1e-12)).to(torch::kDouble);
  double sum = 0;
  for (const Range range : pieces(how.directions, kDirections)) {
    const Tensor some = directions.narrow(0, range.first, range.count);
    sum += (sorted(some, a, rows_a) - sorted(some, b, rows_b)).square().mean(1).sum().item<double>();
  }
  return 3 * static_cast<double>(dims) * sum / static_cast<double>(how.directions);
}

}  // namespace saddle
