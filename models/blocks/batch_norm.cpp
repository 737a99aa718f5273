#include "models/blocks/batch_norm.h"

#include <torch/csrc/autograd/custom_function.h>

#include "dist/differentiable.h"

namespace saddle {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

torch::ScalarType statistics_type(const Tensor& x) {
  return x.scalar_type() == torch::kDouble ? torch::kDouble : torch::kFloat;
}

// Global mean, biased variance and count from each rank's own.
struct Statistics {
  Tensor mean, variance;  // [C]
  Tensor count;           // [], float64: elements a channel, over all ranks
};

// Sums travel in float64: E[x^2] - E[x]^2 cancels.
Statistics statistics(const Tensor& x, const Comm& comm) {
  const int64_t channels = x.size(1), count = x.numel() / channels;
  Tensor sums = torch::zeros({2 * channels + 1}, x.options().dtype(torch::kDouble));
  if (count > 0) {
    const Tensor none = torch::zeros({channels}, x.options().dtype(statistics_type(x)));
    auto [mean, variance] = at::batch_norm_update_stats(x, none, none.clone(), 0);
    mean = mean.to(torch::kDouble);
    sums.narrow(0, 0, channels).copy_(mean * count);
    sums.narrow(0, channels, channels).copy_((variance.to(torch::kDouble) + mean * mean) * count);
    sums[2 * channels].fill_(count);
  }
  comm.all_reduce(sums, Reduce::sum, "batch norm");
  const Tensor total = sums[2 * channels].clamp_min(1);
  const Tensor mean = sums.narrow(0, 0, channels) / total;
  const Tensor square = sums.narrow(0, channels, channels) / total;
  return {mean.to(statistics_type(x)), (square - mean * mean).clamp_min(0).to(statistics_type(x)), total};
}

Tensor per_channel(const Tensor& c, const Tensor& x) {
  std::vector<int64_t> shape(x.dim(), 1);
  shape[1] = c.numel();
  return c.view(shape);
}

Tensor sum_by_channel(const Tensor& x) {
  std::vector<int64_t> others{0};
  for (int64_t i = 2; i < x.dim(); ++i) others.push_back(i);
  return x.sum(others);
}

// What a backward pass starts from.
struct Saved {
  Tensor x, weight, mean, variance, count;
  double eps;
  const Comm& comm;
};

// With xhat = (x - mean) / s: dx = w / s * (dy - mean(dy) - xhat * mean(dy * xhat)), means over the global
// batch.
tensor_list fused_backward(const Saved& saved, const Tensor& grad, bool wants_dx) {
  const auto& [x, weight, mean, variance, count, eps, comm] = saved;
  const Tensor dy = grad.contiguous(x.suggest_memory_format());
  Tensor d_weight = torch::zeros_like(weight), d_bias = torch::zeros_like(weight), dx;
  if (x.numel() > 0)
    std::tie(std::ignore, d_weight, d_bias) = at::native_batch_norm_backward(
        dy, x, weight, mean, variance, {}, {}, /*train=*/false, eps, {false, true, true});
  if (wants_dx) {
    const Tensor means = torch::stack({d_weight, d_bias});
    comm.all_reduce(means, Reduce::sum, "batch norm backward");
    means.div_(count);
    const Tensor inverse = torch::rsqrt(variance + eps);
    const Tensor scale = weight * inverse;
    const Tensor slope = -scale * inverse * means[0];  // of x
    const Tensor shift = -scale * means[1] - slope * mean;
    dx = torch::addcmul(per_channel(shift, x), per_channel(slope, x), x).addcmul_(per_channel(scale, x), dy);
    dx = dx.to(x.scalar_type());
  }
  return {dx, d_weight, d_bias};
}

// The same from differentiable operations. Mean and variance are functions of x again, taken about the known
// mean, where nothing cancels.
tensor_list differentiable_backward(const Saved& saved, const Tensor& grad, bool wants_dx) {
  const auto& [x, weight, known, variance, count, eps, comm] = saved;
  const Tensor dy = grad.to(known.scalar_type());
  const Tensor off = x.to(known.scalar_type()) - per_channel(known, x);
  const Tensor moments =
      sum_over_ranks(torch::stack({sum_by_channel(off), sum_by_channel(off.square())}), comm) / count;
  const Tensor inverse = torch::rsqrt(moments[1] - moments[0].square() + eps);
  const Tensor xhat = (off - per_channel(moments[0], x)) * per_channel(inverse, x);
  const Tensor d_weight = sum_by_channel(dy * xhat), d_bias = sum_by_channel(dy);
  Tensor dx;
  if (wants_dx) {
    const Tensor means = sum_over_ranks(torch::stack({d_weight, d_bias}), comm) / count;
    dx = per_channel(weight * inverse, x) * (dy - per_channel(means[1], x) - xhat * per_channel(means[0], x));
    dx = dx.to(x.scalar_type());
  }
  return {dx, d_weight, d_bias};
}

struct Normalise : torch::autograd::Function<Normalise> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const Statistics& s, double eps, const Comm& comm) {
    context->save_for_backward({x, weight, s.mean, s.variance, s.count});
    context->saved_data["eps"] = eps;
    context->saved_data["comm"] = saved(comm);
    if (x.numel() == 0) return torch::empty_like(x);
    return std::get<0>(
        at::native_batch_norm(x, weight, bias, s.mean, s.variance, /*training=*/false, 0, eps));
  }

  static tensor_list backward(AutogradContext* context, tensor_list grads) {
    const auto kept = context->get_saved_variables();
    const Saved from{kept[0],
                     kept[1],
                     kept[2],
                     kept[3],
                     kept[4],
                     context->saved_data["eps"].toDouble(),
                     comm_of(context->saved_data["comm"])};
    const auto derive = at::GradMode::is_enabled() ? differentiable_backward : fused_backward;
    tensor_list result = derive(from, grads[0], context->needs_input_grad(0));
    result.resize(6);
    return result;
  }
};

}  // namespace

BatchNorm::BatchNorm(Maker& make, int64_t channels, double stddev, double momentum, double eps)
    : comm_(make.comm), momentum_(momentum), eps_(eps) {
  mix_samples();
  weight = parameter("weight", make.normal({channels}, 1, stddev));
  bias = parameter("bias", torch::zeros({channels}, torch::kFloat));
  running_mean = buffer("running_mean", torch::zeros({channels}, torch::kFloat));
  running_var = buffer("running_var", torch::ones({channels}, torch::kFloat));
}

Tensor BatchNorm::forward(const Tensor& x) {
  if (!training() || comm_.size() == 1)
    return torch::batch_norm(x, weight, bias, running_mean, running_var, training(), momentum_, eps_, true);
  const Statistics s = statistics(x.detach(), comm_);
  running_mean.lerp_(s.mean, momentum_);
  const Tensor unbiased = s.count / (s.count - 1).clamp_min(1);
  running_var.lerp_(s.variance * unbiased.to(s.variance.scalar_type()), momentum_);
  return Normalise::apply(x, weight, bias, s, eps_, comm_);
}

}  // namespace saddle
