// Penalties on the gradient of a discriminator with respect to its input.
// All are exact under double backward: the result can be differentiated in the critic's weights.
//
// Common contract: `critic` maps [B, ...] to [B] or [B, ...] and treats each sample apart from the others (no
// batch norm: a per-sample gradient would not exist); of several outputs a sample the gradient of the sum is
// taken. Inputs are detached here, so nothing flows back into a generator. The result is a scalar, the mean
// over the batch, without the weight (lambda, gamma/2) that the caller multiplies. Norms are over all
// dimensions but the first. Needs grad mode on.
#pragma once

#include "dist/tensor.h"

#include <functional>

namespace saddle {

using Critic = std::function<torch::Tensor(const torch::Tensor&)>;

// ||grad of the sum of scores in x_i||^2 of every sample, [B]: `scores` were computed from the leaf `x`.
// Differentiable in the critic's weights.
torch::Tensor squared_gradient_norms(const torch::Tensor& scores, const torch::Tensor& x);

// E (||grad D(x*)|| - target)^2 with x* = alpha real + (1 - alpha) fake, one alpha a sample (Gulrajani 2017,
// eq. 3 and algorithm 1). `alpha` is [B], in [0, 1); `real` and `fake` are of one shape. 1e-12 inside the
// root keeps its derivative finite where the gradient is zero.
torch::Tensor gradient_penalty(const Critic& critic, const torch::Tensor& real, const torch::Tensor& fake,
                               const torch::Tensor& alpha, double target = 1);

// E ||grad D(real)||^2: Mescheder 2018, eq. 9, without its factor gamma / 2.
torch::Tensor r1(const Critic& critic, const torch::Tensor& real);

// E ||grad D(fake)||^2: Mescheder 2018, eq. 10, without its factor gamma / 2.
torch::Tensor r2(const Critic& critic, const torch::Tensor& fake);

// E (||grad D(real + 0.5 std noise)|| - target)^2 (Kodali 2017, eq. 2, with the noise of the released code).
// `noise` is U[0, 1) in the shape of `real`; `std` a scalar tensor, the standard deviation of all elements of
// the *global* batch: reduce it over the ranks first, or the penalty depends on how many there are.
torch::Tensor dragan(const Critic& critic, const torch::Tensor& real, const torch::Tensor& noise,
                     const torch::Tensor& std, double target = 1);

}  // namespace saddle
