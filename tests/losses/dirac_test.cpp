// The Dirac-GAN (Mescheder 2018, section 2): real data at 0, the generator's one sample at theta, D(x) = psi
// x. Which losses and penalties converge, orbit or diverge is known; systems.md section 29 gives the
// distances.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>

#include "dist/tensor.h"

#include "losses/adversarial.h"
#include "losses/penalty.h"

namespace saddle {
namespace {

using torch::Tensor;

using Regulariser = std::function<Tensor(const Critic&, const Tensor& real, const Tensor& fake)>;

struct Dirac {
  std::string loss;
  Regulariser penalty = nullptr;
  bool alternating = false;
};

Tensor slope(const Tensor& loss, const Tensor& x) {
  return torch::autograd::grad({loss}, {x})[0];
}

// ||(theta, psi)|| after so many steps of rate 0.1 from (1, 1).
double distance_after(const Dirac& game, int steps = 2000) {
  constexpr double kRate = 0.1;
  const AdversarialLoss loss = adversarial_loss(game.loss);
  const auto leaf = [] { return torch::ones({1, 1}, torch::kDouble).requires_grad_(); };
  auto theta = leaf(), psi = leaf();
  const auto real = torch::zeros({1, 1}, torch::kDouble);
  const Critic d = [&](const Tensor& x) { return x.mm(psi); };
  for (int step = 0; step < steps; ++step) {
    auto d_loss = total(loss.d(d(real), d(theta.detach()), mean_here));
    if (game.penalty) d_loss = d_loss + game.penalty(d, real, theta.detach());
    auto psi_step = kRate * slope(d_loss, psi);
    auto move = [](Tensor& x, const Tensor& by) {
      torch::NoGradGuard no_grad;
      x -= by;
    };
    if (game.alternating) move(psi, psi_step);
    auto theta_step = kRate * slope(total(loss.g(d(real).detach(), d(theta), mean_here)), theta);
    if (!game.alternating) move(psi, psi_step);
    move(theta, theta_step);
  }
  return std::hypot(theta.item<double>(), psi.item<double>());
}

Regulariser on_real(double gamma) {
  return [=](const Critic& d, const Tensor& real, const Tensor&) { return gamma / 2 * r1(d, real); };
}

Regulariser on_fake(double gamma) {
  return [=](const Critic& d, const Tensor&, const Tensor& fake) { return gamma / 2 * r2(d, fake); };
}

Tensor between(const Critic& d, const Tensor& real, const Tensor& fake) {
  return gradient_penalty(d, real, fake, torch::full({1}, 0.5, torch::kDouble));
}

TEST(DiracGan, OrbitsWithTheNonSaturatingLoss) {
  EXPECT_NEAR(distance_after({.loss = "non-saturating"}), 0.4508, 5e-5);
  EXPECT_NEAR(distance_after({.loss = "non-saturating", .alternating = true}), 0.2000, 5e-5);
}

TEST(DiracGan, DivergesWithTheWassersteinLoss) {
  EXPECT_NEAR(distance_after({.loss = "wasserstein"}), 2.96e4, 50);
}

TEST(DiracGan, CyclesWithTheGradientPenalty) {
  EXPECT_NEAR(distance_after({.loss = "wasserstein", .penalty = between}), 2.000, 5e-4);
}

TEST(DiracGan, ConvergesWithR1AndR2) {
  for (double gamma : {1.0, 0.3}) {
    EXPECT_LT(distance_after({.loss = "non-saturating", .penalty = on_real(gamma)}), 1e-4) << gamma;
    EXPECT_LT(distance_after({.loss = "non-saturating", .penalty = on_fake(gamma)}), 1e-4) << gamma;
  }
}

// Mescheder 2018, section 4: near the equilibrium a step of h multiplies the distance by |1 + h l| with
// l = -g / 2 + sqrt(g^2 / 4 - 1 / 4), g = gamma for R1 alone and 2 gamma for R1 and R2 together, also with pairing.
TEST(DiracGan, ConvergesAtTheRateOfTheClosedForm) {
  const auto both = [](double gamma) -> Regulariser {
    return [=](const Critic& d, const Tensor& real, const Tensor& fake) {
      return gamma / 2 * (r1(d, real) + r2(d, fake));
    };
  };
  struct Case {
    Regulariser penalty;
    double g;
    int from;
  };
  for (const std::string loss : {"non-saturating", "rpgan"})
    for (const Case& c : {Case{on_real(0.1), 0.1, 800}, Case{both(0.1), 0.2, 500},
                          Case{on_real(0.3), 0.3, 300}, Case{both(1.0), 2.0, 200}}) {
      const std::complex<double> root = std::sqrt(std::complex<double>(c.g * c.g / 4 - 0.25));
      const std::complex<double> factor = 1.0 + 0.1 * (-c.g / 2 + root);
      const double expected = std::log(std::abs(factor));
      // Where it turns about the equilibrium its path is an ellipse: half turns later it stands where it stood.
      const int half_turns = 8;
      const int to =
          c.from + (std::arg(factor) > 0 ? int(std::round(half_turns * M_PI / std::arg(factor))) : 400);
      const double found = std::log(distance_after({.loss = loss, .penalty = c.penalty}, to) /
                                    distance_after({.loss = loss, .penalty = c.penalty}, c.from)) /
                           (to - c.from);
      EXPECT_NEAR(found / expected, 1, 0.02) << loss << ", g " << c.g;
    }
}

}  // namespace
}  // namespace saddle
