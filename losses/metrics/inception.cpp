#include "losses/metrics/inception.h"

#include <ATen/ops/logsumexp.h>

#include <cmath>
#include <vector>

#include "dist/error.h"
#include "dist/tensor.h"

namespace saddle {
namespace {

using torch::Tensor;

Tensor log_probabilities(const Tensor& logits, int64_t least) {
  require(logits.dim() == 2 && logits.size(0) >= least && logits.size(1) > 0, Exit::usage,
          "a score by a classifier needs logits [N, K] of at least {} samples", least);
  return torch::log_softmax(logits.to(torch::kCPU, torch::kDouble), 1);
}

// log of the mean of the probabilities, [K]: finite where every one of them is too small for a float64.
Tensor log_mean(const Tensor& log_p) {
  return torch::logsumexp(log_p, 0) - std::log(static_cast<double>(log_p.size(0)));
}

// KL(p || q) of the last dimension.
Tensor divergence(const Tensor& log_p, const Tensor& log_q) {
  return (log_p.exp() * (log_p - log_q)).sum(-1);
}

}  // namespace

MeanStd inception_score(const Tensor& logits, int64_t splits) {
  require(splits > 0, Exit::usage, "{} splits: give one or more", splits);
  const torch::NoGradGuard no_grad;
  const Tensor log_p = log_probabilities(logits, splits);
  const int64_t n = log_p.size(0);
  std::vector<double> scores;
  for (int64_t i = 0; i < splits; ++i) {
    const int64_t first = i * n / splits, end = (i + 1) * n / splits;
    const Tensor chunk = log_p.narrow(0, first, end - first);
    scores.push_back(divergence(chunk, log_mean(chunk)).mean().exp().item<double>());
  }
  return mean_std(scores);
}

double mode_score(const Tensor& logits, const Tensor& real_share) {
  const torch::NoGradGuard no_grad;
  const Tensor log_p = log_probabilities(logits, 1);
  const Tensor share = real_share.to(torch::kCPU, torch::kDouble);
  require(share.dim() == 1 && share.size(0) == log_p.size(1) && share.gt(0).all().item<bool>() &&
              std::abs(share.sum().item<double>() - 1) < 1e-6,
          Exit::usage, "the MODE score needs the shares of {} classes, all positive and of sum 1",
          log_p.size(1));
  const Tensor exponent = divergence(log_p, share.log()).mean() - divergence(log_mean(log_p), share.log());
  return exponent.exp().item<double>();
}

}  // namespace saddle
