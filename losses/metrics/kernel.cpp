#include "losses/metrics/kernel.h"

#include <vector>

#include "dist/error.h"
#include "dist/random.h"
#include "dist/tensor.h"

namespace saddle {
namespace {

using torch::Tensor;
using Kernel = Tensor (*)(const Tensor& x, const Tensor& y);  // [n, D], [m, D] -> [n, m]

Tensor cubic(const Tensor& x, const Tensor& y) {
  return (x.mm(y.t()) / static_cast<double>(x.size(1)) + 1).pow(3);
}

Tensor gaussian(const Tensor& x, const Tensor& y) {
  constexpr double kSigma = 10;
  const Tensor squares = x.square().sum(1, /*keepdim=*/true) + y.square().sum(1) - 2 * x.mm(y.t());
  return (squares / (-2 * kSigma * kSigma)).exp();
}

double across(const Tensor& a, const Tensor& b, Kernel kernel, int64_t block) {
  double sum = 0;
  for (const Range i : pieces(a.size(0), block)) {
    const Tensor x = rows_of(a, i);
    for (const Range j : pieces(b.size(0), block)) sum += kernel(x, rows_of(b, j)).sum().item<double>();
  }
  return sum;
}

struct Within {
  double pairs;  // of two different samples, in both orders
  double itself;
};
Within within(const Tensor& a, Kernel kernel, int64_t block) {
  Within sum{};
  for (const Range i : pieces(a.size(0), block)) {
    const Tensor x = rows_of(a, i), own = kernel(x, x);
    const double itself = own.diagonal().sum().item<double>();
    sum.itself += itself;
    sum.pairs += own.sum().item<double>() - itself;
    const Range later{.first = i.first + i.count, .count = a.size(0) - i.first - i.count};
    sum.pairs += 2 * across(x, a.narrow(0, later.first, later.count), kernel, block);
  }
  return sum;
}

double count(const Tensor& a) {
  return static_cast<double>(a.size(0));
}

}  // namespace

double kid(const Tensor& a, const Tensor& b, int64_t block) {
  require_features("the kernel distance", a, b, 2);
  const torch::NoGradGuard no_grad;
  const auto of = [&](const Tensor& x) {
    return within(x, cubic, block).pairs / (count(x) * (count(x) - 1));
  };
  return of(a) + of(b) - 2 * across(a, b, cubic, block) / (count(a) * count(b));
}

MeanStd kid_subsets(const Tensor& a, const Tensor& b, const Tensor& indices_a, const Tensor& indices_b) {
  require(indices_a.dim() == 2 && indices_b.dim() == 2 && indices_a.size(0) == indices_b.size(0) &&
              indices_a.size(0) > 0,
          Exit::usage, "the kernel distance needs subsets [S, n] and [S, m], as many a side");
  std::vector<double> values;
  for (int64_t i = 0; i < indices_a.size(0); ++i)
    values.push_back(
        kid(a.index_select(0, indices_a[i].to(a.device())), b.index_select(0, indices_b[i].to(b.device()))));
  return mean_std(values);
}

MeanStd kid_subsets(const Tensor& a, const Tensor& b, const KidSubsets& how) {
  require_features("the kernel distance by subsets", a, b, how.size);
  require(how.subsets > 0, Exit::usage, "{} subsets: give one or more", how.subsets);
  const auto draw = [&](const char* side, const Tensor& features) {
    std::vector<Tensor> all;
    for (int64_t i = 0; i < how.subsets; ++i)
      all.push_back(subset({how.seed, side, static_cast<uint64_t>(i)}, features.size(0), how.size));
    return torch::stack(all);
  };
  return kid_subsets(a, b, draw("kid a", a), draw("kid b", b));
}

double cmmd(const Tensor& a, const Tensor& b, int64_t block) {
  require_features("CMMD", a, b);
  const torch::NoGradGuard no_grad;
  const auto of = [&](const Tensor& x) {
    const Within sum = within(x, gaussian, block);
    return (sum.pairs + sum.itself) / (count(x) * count(x));
  };
  return 1000 * (of(a) + of(b) - 2 * across(a, b, gaussian, block) / (count(a) * count(b)));
}

}  // namespace saddle
