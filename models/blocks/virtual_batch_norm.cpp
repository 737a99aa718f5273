#include "models/blocks/virtual_batch_norm.h"

#include "dist/differentiable.h"
#include "dist/error.h"

namespace saddle {
namespace {

using torch::Tensor;

// [B, C, ...] -> [B, C, places], at least float32.
Tensor flat(const Tensor& x) {
  const Tensor y = x.dim() == 2 ? x.unsqueeze(-1) : x.flatten(2);
  return y.scalar_type() == torch::kDouble ? y : y.to(torch::kFloat);
}

Tensor sum_by_channel(const Tensor& x) {
  return x.sum(at::IntArrayRef{0, 2});
}

struct Moments {
  Tensor mean, variance;  // [C or B, C, 1]
};

// Of the reference batch, and the number of its examples. Deviations are taken from the mean: nothing
// cancels.
std::pair<Moments, Tensor> reference_moments(const Tensor& reference, const Comm& comm) {
  const Tensor rows = torch::full({1}, reference.size(0), reference.options());
  const Tensor sums =
      sum_over_ranks(torch::cat({sum_by_channel(reference), rows}), comm, "virtual batch norm");
  const int64_t channels = reference.size(1);
  const Tensor n = sums[channels].detach();
  const Tensor places = (n * reference.size(2)).clamp_min(1);
  const Tensor mean = (sums.narrow(0, 0, channels) / places).unsqueeze(-1);
  const Tensor squares =
      sum_over_ranks(sum_by_channel((reference - mean).square()), comm, "virtual batch norm");
  return {{mean, (squares / places).unsqueeze(-1)}, n};
}

// Of the reference batch with weight n / (n + 1) and each example of x with 1 / (n + 1). The variance of a
// mixture: the mean of the variances and the variance of the means.
Moments with_each(const Moments& reference, const Tensor& n, const Tensor& x) {
  const Tensor own = 1 / (n + 1), others = n / (n + 1);
  const Tensor mean = x.mean(2, /*keepdim=*/true);
  const Tensor variance = (x - mean).square().mean(2, /*keepdim=*/true);
  return {others * reference.mean + own * mean,
          others * reference.variance + own * variance + others * own * (mean - reference.mean).square()};
}

}  // namespace

ReferenceBatch::ReferenceBatch(Maker& make, at::IntArrayRef shape) : comm_(make.comm) {
  rows = buffer("rows", make.normal(shape, 0, 1));
}

void ReferenceBatch::choose(const Tensor& slice) {
  at::NoGradGuard no_grad;
  const Tensor all = rows_of_all_ranks(slice, comm_, "reference batch");
  require(all.sizes() == rows.sizes(), Exit::usage,
          "the reference batch is {}, found rows of shape {} on the {} ranks together: choose as many",
          c10::str(rows.sizes()), c10::str(all.sizes()), comm_.size());
  rows.copy_(all);
}

Tensor ReferenceBatch::slice() const {
  if (!training()) return rows;
  const auto start = [&](int64_t rank) { return rows.size(0) * rank / comm_.size(); };
  return rows.narrow(0, start(comm_.rank()), start(comm_.rank() + 1) - start(comm_.rank()));
}

VirtualBatchNorm::VirtualBatchNorm(Maker& make, int64_t channels, double stddev, double eps)
    : comm_(make.comm), eps_(eps) {
  weight = parameter("weight", make.normal({channels}, 1, stddev));
  bias = parameter("bias", torch::zeros({channels}, torch::kFloat));
}

VirtualBatchNorm::Pair VirtualBatchNorm::forward(const Tensor& reference, const Tensor& x) const {
  const auto normalise = [&](const Tensor& places, const Moments& by, const Tensor& like) {
    const Tensor scale = weight.unsqueeze(-1) * torch::rsqrt(by.variance + eps_);
    return ((places - by.mean) * scale + bias.unsqueeze(-1)).view(like.sizes()).to(like.scalar_type());
  };
  const Tensor r = flat(reference), places = flat(x);
  const auto [moments, n] = reference_moments(r, training() ? comm_ : World::alone());
  return {normalise(r, moments, reference), normalise(places, with_each(moments, n, places), x)};
}

}  // namespace saddle
