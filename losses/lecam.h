// LeCam regularisation (Tseng et al. 2021, "Regularizing generative adversarial networks under limited
// data"): D's scores are held near what it has said of the other side on average.
#pragma once

#include "dist/tensor.h"

namespace saddle {

// Of raw scores of any shape. The averages, [], are those of the scores of real samples and of fakes; no
// gradient reaches them.
//   one-sided  E relu(D(x) - a_fake)^2 + E relu(a_real - D(y))^2     the authors' code
//   two-sided  E (D(x) - a_fake)^2 + E (D(y) - a_real)^2             equation 3
torch::Tensor lecam(const torch::Tensor& on_real, const torch::Tensor& on_fake,
                    const torch::Tensor& average_real, const torch::Tensor& average_fake,
                    bool one_sided = true);

// An average after one more mean, [] or [n]: decay * before + (1 - decay) * mean, or the mean itself where
// `copy` is 1 (the code's steps before the start).
torch::Tensor lecam_average(const torch::Tensor& before, const torch::Tensor& mean, double decay,
                            const torch::Tensor& copy);

}  // namespace saddle
