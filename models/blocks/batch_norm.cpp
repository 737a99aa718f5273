#include "models/blocks/batch_norm.h"

#include <torch/csrc/autograd/custom_function.h>

#include "dist/error.h"

namespace saddle {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

// Global mean, biased variance and count from each rank's own. Sums travel in float64: E[x^2] - E[x]^2
// cancels.
struct Statistics {
  Tensor mean, variance;  // [C], dtype of x
  double count;           // elements a channel, over all ranks
};

Statistics statistics(const Tensor& x, const Comm& comm) {
  const int64_t channels = x.size(1);
  auto [mean, variance] = at::batch_norm_update_stats(x, {}, {}, 0);
  mean = mean.to(torch::kDouble);
  Tensor sums = torch::empty({2 * channels + 1}, mean.options());
  const double count = static_cast<double>(x.numel() / channels);
  sums.narrow(0, 0, channels).copy_(mean * count);
  sums.narrow(0, channels, channels).copy_((variance.to(torch::kDouble) + mean * mean) * count);
  sums[2 * channels] = count;
  comm.all_reduce(sums);
  const Tensor total = sums[2 * channels];
  const Tensor global_mean = sums.narrow(0, 0, channels) / total;
  const Tensor square = sums.narrow(0, channels, channels) / total;
  return {global_mean.to(x.scalar_type()),
          (square - global_mean * global_mean).clamp_min(0).to(x.scalar_type()), total.item<double>()};
}

Tensor per_channel(const Tensor& c, const Tensor& x) {
  std::vector<int64_t> shape(x.dim(), 1);
  shape[1] = c.numel();
  return c.view(shape);
}

struct Normalise : torch::autograd::Function<Normalise> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const Tensor& mean, const Tensor& variance, double count, double eps,
                        const Comm* comm) {
    context->save_for_backward({x, weight, mean, variance});
    context->saved_data["count"] = count;
    context->saved_data["eps"] = eps;
    context->saved_data["comm"] = reinterpret_cast<int64_t>(comm);
    return std::get<0>(at::native_batch_norm(x, weight, bias, mean, variance, /*training=*/false, 0, eps));
  }

  // dx = w / s * (dy - mean(dy) - xhat * mean(dy * xhat)), both means over the global batch.
  static tensor_list backward(AutogradContext* context, tensor_list grads) {
    require(!at::GradMode::is_enabled(), Exit::usage,
            "no second derivative of batch norm across ranks: use norm 'none' or 'instance' in a net whose "
            "gradient is "
            "penalised, or one rank");
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &mean = saved[2], &variance = saved[3];
    const Tensor dy = grads[0].contiguous(x.suggest_memory_format());
    const double eps = context->saved_data["eps"].toDouble(), count = context->saved_data["count"].toDouble();
    const auto& comm = *reinterpret_cast<const Comm*>(context->saved_data["comm"].toInt());
    auto [none, d_weight, d_bias] = at::native_batch_norm_backward(dy, x, weight, mean, variance, {}, {},
                                                                   /*train=*/false, eps, {false, true, true});
    Tensor dx;
    if (context->needs_input_grad(0)) {
      Tensor sums = torch::stack({d_weight, d_bias});
      comm.all_reduce(sums);
      const Tensor inverse = torch::rsqrt(variance + eps);
      const Tensor scale = weight * inverse;
      const Tensor slope = -scale * inverse * sums[0] / count;  // of x
      const Tensor shift = -scale * sums[1] / count - slope * mean;
      dx =
          torch::addcmul(per_channel(shift, x), per_channel(slope, x), x).addcmul_(per_channel(scale, x), dy);
    }
    return {dx, d_weight, d_bias, {}, {}, {}, {}, {}};
  }
};

}  // namespace

BatchNorm::BatchNorm(Maker& make, int64_t channels, double stddev, double momentum, double eps)
    : comm_(make.comm), momentum_(momentum), eps_(eps) {
  weight = parameter("weight", make.normal({channels}, 1, stddev));
  bias = parameter("bias", torch::zeros({channels}, torch::kFloat));
  running_mean = buffer("running_mean", torch::zeros({channels}, torch::kFloat));
  running_var = buffer("running_var", torch::ones({channels}, torch::kFloat));
}

Tensor BatchNorm::forward(const Tensor& x) {
  if (!training() || comm_.size() == 1)
    return torch::batch_norm(x, weight, bias, running_mean, running_var, training(), momentum_, eps_, true);
  Statistics s;
  {
    at::NoGradGuard no_grad;
    s = statistics(x.detach(), comm_);
    running_mean.lerp_(s.mean, momentum_);
    running_var.lerp_(s.variance * (s.count / std::max(1.0, s.count - 1)), momentum_);
  }
  return Normalise::apply(x, weight, bias, s.mean, s.variance, s.count, eps_, &comm_);
}

}  // namespace saddle
