#include "losses/penalty.h"

#include <ATen/ops/lerp.h>
#include <fmt/ranges.h>
#include <torch/csrc/autograd/autograd.h>

#include "dist/error.h"
#include "dist/tensor.h"

namespace saddle {
namespace {

using torch::Tensor;

Tensor squared_gradient_norms_at(const Critic& critic, const Tensor& x) {
  const Tensor input = x.detach().requires_grad_(true);
  return squared_gradient_norms(critic(input), input);
}

Tensor distance_to(double target, const Tensor& squared_norms) {
  return ((squared_norms + 1e-12).sqrt() - target).square().mean();
}

void require_same_shape(const char* name, const Tensor& a, const Tensor& real) {
  require(a.sizes() == real.sizes(), Exit::bug, "{} is [{}] but real is [{}]: a penalty needs equal shapes",
          name, fmt::join(a.sizes(), ", "), fmt::join(real.sizes(), ", "));
}

// [B] -> [B, 1, ...] beside a tensor like `x`.
Tensor per_sample(const Tensor& v, const Tensor& x) {
  std::vector<int64_t> shape(x.dim(), 1);
  shape[0] = v.size(0);
  return v.reshape(shape);
}

}  // namespace

Tensor squared_gradient_norms(const Tensor& scores, const Tensor& x) {
  require(at::GradMode::is_enabled(), Exit::bug,
          "a gradient penalty needs grad mode: remove the NoGradGuard around it");
  const Tensor gradient = torch::autograd::grad({scores.sum()}, {x}, {}, /*retain_graph=*/true,
                                                /*create_graph=*/true)[0];
  return gradient.flatten(1).square().sum(1);
}

Tensor gradient_penalty(const Critic& critic, const Tensor& real, const Tensor& fake, const Tensor& alpha,
                        double target) {
  require_same_shape("fake", fake, real);
  require(alpha.dim() == 1 && alpha.size(0) == real.size(0), Exit::bug,
          "alpha is [{}] but the batch has {} samples: draw one alpha a sample",
          fmt::join(alpha.sizes(), ", "), real.size(0));
  return distance_to(target,
                     squared_gradient_norms_at(critic, torch::lerp(fake, real, per_sample(alpha, real))));
}

Tensor r1(const Critic& critic, const Tensor& real) {
  return squared_gradient_norms_at(critic, real).mean();
}

Tensor r2(const Critic& critic, const Tensor& fake) {
  return squared_gradient_norms_at(critic, fake).mean();
}

Tensor dragan(const Critic& critic, const Tensor& real, const Tensor& noise, const Tensor& std,
              double target) {
  require_same_shape("noise", noise, real);
  return distance_to(target, squared_gradient_norms_at(critic, real + 0.5 * std * noise));
}

}  // namespace saddle
