// Optimizers against their published recurrences, written out in scalars.
#include "models/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

namespace saddle {
namespace {

constexpr double kGradients[] = {0.5, -1.5, 0.25, 2.0};

TEST(Adam, FollowsAlgorithmOneOfThePaper) {
  torch::Tensor w = torch::full({3}, 1.0, torch::kDouble);
  const AdamOptions o{.lr = 0.1, .beta1 = 0.5, .beta2 = 0.9, .eps = 1e-8};
  const auto adam = make_optimizer(o, w);
  double expected = 1, mean = 0, square = 0;
  for (int t = 1; t <= 4; ++t) {
    const double g = kGradients[t - 1];
    adam->step(w, torch::full({3}, g, torch::kDouble));
    mean = o.beta1 * mean + (1 - o.beta1) * g;
    square = o.beta2 * square + (1 - o.beta2) * g * g;
    expected -=
        o.lr * (mean / (1 - std::pow(o.beta1, t))) / (std::sqrt(square / (1 - std::pow(o.beta2, t))) + o.eps);
    EXPECT_NEAR(w[0].item<double>(), expected, 1e-12) << "step " << t;
  }
}

TEST(RmsProp, FollowsPyTorchsRecurrence) {
  torch::Tensor w = torch::full({3}, 1.0, torch::kDouble);
  const RmsPropOptions o{.lr = 0.1, .alpha = 0.9, .eps = 1e-8};
  const auto optimizer = make_optimizer(o, w);
  double expected = 1, square = 0;
  for (const double g : kGradients) {
    optimizer->step(w, torch::full({3}, g, torch::kDouble));
    square = o.alpha * square + (1 - o.alpha) * g * g;
    expected -= o.lr * g / (std::sqrt(square) + o.eps);
    EXPECT_NEAR(w[2].item<double>(), expected, 1e-12);
  }
}

}  // namespace
}  // namespace saddle
