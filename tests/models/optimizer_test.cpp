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

template <class Options>
void expect_rescaled(const Options& options) {
  const auto flag = [](double x) { return torch::full({1}, x, torch::kFloat); };
  torch::Tensor w = torch::full({3}, 1.0, torch::kFloat), plain = w.clone();
  const auto scaled = make_optimizer(options, w), reference = make_optimizer(options, plain);
  const auto bad = torch::full({3}, std::numeric_limits<float>::infinity());
  for (const double g : kGradients) {
    const torch::Tensor before = w.clone();
    scaled->step(w, bad.clone(), {.divisor = flag(8), .skip = flag(1)});
    EXPECT_TRUE(w.equal(before)) << "a skipped step moved the weights";
    scaled->step(w, torch::full({3}, 8 * g, torch::kFloat), {.divisor = flag(8), .skip = flag(0)});
    reference->step(plain, torch::full({3}, g, torch::kFloat));
    EXPECT_TRUE(w.equal(plain)) << "skipped steps left a trace, or the divisor did not divide";
  }
}

TEST(Adam, DividesAndSkipsOnTheDevice) {
  expect_rescaled(AdamOptions{.lr = 0.1});
}

TEST(RmsProp, DividesAndSkipsOnTheDevice) {
  expect_rescaled(RmsPropOptions{.lr = 0.1});
}

TEST(LossScale, DoublesAfterTwoThousandGoodStepsAndHalvesAfterABadOne) {
  LossScale scale(torch::kCPU);
  const torch::Tensor good = torch::zeros({1}), bad = torch::ones({1});
  EXPECT_EQ(scale.value().item<float>(), 65536);
  scale.update(bad);
  EXPECT_EQ(scale.value().item<float>(), 32768);
  for (int i = 0; i < 1999; ++i) scale.update(good);
  EXPECT_EQ(scale.value().item<float>(), 32768);
  scale.update(good);
  EXPECT_EQ(scale.value().item<float>(), 65536);
}

}  // namespace
}  // namespace saddle
