#include "losses/penalty.h"

#include "dist/error.h"
#include "gradient_check.h"

namespace saddle {
namespace {

using test::expect_gradient;
using test::f64;
using torch::Tensor;

// D(x) = sum_j v_j tanh(w_j . x): smooth, with a gradient that differs from sample to sample.
struct SmallCritic {
  Tensor w = torch::randn({5, 3}, f64()).requires_grad_();
  Tensor v = torch::randn({5}, f64()).requires_grad_();
  Tensor operator()(const Tensor& x) const { return x.flatten(1).mm(w.t()).tanh().mv(v); }
};

struct PenaltyTest : testing::Test {
  PenaltyTest() { torch::manual_seed(1); }
  static Tensor batch() { return torch::randn({4, 3}, f64()); }
};

double value(const Tensor& t) {
  return t.item<double>();
}

// ||D'(x)|| of every sample, by hand: sum_j v_j (1 - tanh^2) w_j.
Tensor norms_by_hand(const SmallCritic& d, const Tensor& x) {
  auto slope = 1 - x.mm(d.w.t()).tanh().square();  // [B, 5]
  return (slope * d.v).mm(d.w).norm(2, {1});
}

TEST_F(PenaltyTest, OfALinearCriticIsExact) {
  auto w = torch::randn(3, f64());
  auto linear = [&](const Tensor& x) { return x.mv(w) + 7; };
  const double norm = value(w.norm());
  auto real = batch(), fake = batch(), alpha = torch::rand(4, f64());
  EXPECT_NEAR(value(gradient_penalty(linear, real, fake, alpha)), (norm - 1) * (norm - 1), 1e-11);
  EXPECT_NEAR(value(gradient_penalty(linear, real, fake, alpha, 0.25)), (norm - 0.25) * (norm - 0.25), 1e-11);
  EXPECT_NEAR(value(dragan(linear, real, fake, real.std())), (norm - 1) * (norm - 1), 1e-11);
  EXPECT_NEAR(value(r1(linear, real)), norm * norm, 1e-12);
  EXPECT_NEAR(value(r2(linear, fake)), norm * norm, 1e-12);
}

TEST_F(PenaltyTest, IsTakenWhereItsPaperSays) {
  SmallCritic d;
  auto real = batch(), fake = batch(), alpha = torch::rand(4, f64()), noise = torch::rand({4, 3}, f64());
  auto soft = [&](const Tensor& x) { return value((norms_by_hand(d, x) - 1).square().mean()); };
  auto mixed = alpha.unsqueeze(1) * real + (1 - alpha.unsqueeze(1)) * fake;
  EXPECT_NEAR(value(gradient_penalty(d, real, fake, alpha)), soft(mixed), 1e-10);
  EXPECT_NEAR(value(dragan(d, real, noise, real.std())), soft(real + 0.5 * real.std() * noise), 1e-10);
  EXPECT_NEAR(value(r1(d, real)), value(norms_by_hand(d, real).square().mean()), 1e-12);
  EXPECT_NEAR(value(r2(d, fake)), value(norms_by_hand(d, fake).square().mean()), 1e-12);
}

TEST_F(PenaltyTest, DifferentiatesInTheWeights) {
  SmallCritic d;
  auto real = batch(), fake = batch(), alpha = torch::rand(4, f64()), noise = torch::rand({4, 3}, f64());
  const std::vector<std::function<Tensor()>> penalties = {
      [&] { return gradient_penalty(d, real, fake, alpha); }, [&] { return r1(d, real); },
      [&] { return r2(d, fake); }, [&] { return dragan(d, real, noise, real.std()); }};
  for (const auto& penalty : penalties) {
    expect_gradient(penalty, d.w);
    expect_gradient(penalty, d.v);
  }
}

TEST_F(PenaltyTest, TakesTheNormOverAllDimensionsOfASample) {
  SmallCritic d;
  auto real = batch(), fake = batch(), alpha = torch::rand(4, f64());
  EXPECT_DOUBLE_EQ(value(gradient_penalty(d, real.view({4, 1, 3, 1}), fake.view({4, 1, 3, 1}), alpha)),
                   value(gradient_penalty(d, real, fake, alpha)));
}

// So the mean over ranks of local penalties is the penalty of the global batch.
TEST_F(PenaltyTest, OfABatchIsTheMeanOfItsHalves) {
  SmallCritic d;
  auto real = batch(), fake = batch(), alpha = torch::rand(4, f64());
  auto half = [&](int64_t first) {
    return gradient_penalty(d, real.narrow(0, first, 2), fake.narrow(0, first, 2), alpha.narrow(0, first, 2));
  };
  EXPECT_NEAR(value(gradient_penalty(d, real, fake, alpha)), value(half(0) + half(2)) / 2, 1e-14);
}

TEST_F(PenaltyTest, LeavesTheGeneratorAlone) {
  SmallCritic d;
  auto fake = batch().requires_grad_(true);
  auto total = gradient_penalty(d, batch(), fake, torch::rand(4, f64())) + r2(d, fake);
  EXPECT_FALSE(torch::autograd::grad({total}, {fake}, {}, {}, false, /*allow_unused=*/true)[0].defined());
}

TEST_F(PenaltyTest, HasAFiniteGradientAtAFlatCritic) {
  auto w = torch::zeros(3, f64()).requires_grad_();
  auto penalty =
      gradient_penalty([&](const Tensor& x) { return x.mv(w); }, batch(), batch(), torch::rand(4, f64()));
  EXPECT_NEAR(value(penalty), 1, 1e-5);
  EXPECT_TRUE(torch::autograd::grad({penalty}, {w})[0].isfinite().all().item<bool>());
}

TEST_F(PenaltyTest, RefusesWhatItCannotPair) {
  SmallCritic d;
  EXPECT_THROW(gradient_penalty(d, batch(), batch().narrow(0, 0, 3), torch::rand(4, f64())), Error);
  EXPECT_THROW(gradient_penalty(d, batch(), batch(), torch::rand(1, f64())), Error);
  EXPECT_THROW(gradient_penalty(d, batch(), batch(), torch::rand({4, 3}, f64())), Error);
  EXPECT_THROW(dragan(d, batch(), torch::rand({4, 1}, f64()), torch::ones({}, f64())), Error);
  torch::NoGradGuard no_grad;
  EXPECT_THROW(r1(d, batch()), Error);
}

}  // namespace
}  // namespace saddle
