// What each loss measures between two Gaussians N(0, 0.1^2 I) and N((mu, 0), 0.1^2 I) in the plane, whose
// Wasserstein distance is mu: systems.md section 7 (f). The survey's case for WGAN: JS is flat where W still
// tells near from far.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "losses/adversarial.h"
#include "losses/penalty.h"

namespace saddle {
namespace {

using torch::Tensor;
namespace nn = torch::nn;

constexpr int kSteps = 800, kBatch = 256, kJudges = 8192;
const std::vector<double> kDistances = {0.5, 1, 2, 4};

struct Pair {
  Tensor real, fake;
};

Pair draw(double mu, int64_t n) {
  return {0.1 * torch::randn({n, 2}), 0.1 * torch::randn({n, 2}) + torch::tensor({mu, 0.0}, torch::kFloat)};
}

nn::Sequential critic() {
  auto relu = [] { return nn::LeakyReLU(nn::LeakyReLUOptions().negative_slope(0.2)); };
  return nn::Sequential(nn::Linear(2, 128), relu(), nn::Linear(128, 128), relu(), nn::Linear(128, 1));
}

Critic function_of(nn::Sequential d) {
  return [d](const Tensor& x) mutable { return d->forward(x); };
}

// Steps an optimiser of the critic's on fresh batches; `loss` of one batch, `after` each step.
template <class Loss, class After>
void train(torch::optim::Optimizer& optimizer, double mu, Loss loss, After after) {
  for (int step = 0; step < kSteps; ++step) {
    optimizer.zero_grad();
    loss(draw(mu, kBatch)).backward();
    optimizer.step();
    after();
  }
}

Tensor d_loss(const char* name, const Critic& d, const Pair& x) {
  return total(adversarial_loss(name).d(d(x.real), d(x.fake), mean_here));
}

// The steepest ||grad D|| met between the two sets.
double steepest(const Critic& d, const Pair& x) {
  auto alpha = torch::rand({kJudges, 1});
  auto between = (alpha * x.real + (1 - alpha) * x.fake).requires_grad_(true);
  return torch::autograd::grad({d(between).sum()}, {between})[0].norm(2, {1}).max().item<double>();
}

// The critic's mean difference, made 1-Lipschitz by its steepest slope: the penalty is soft, clipping fixes
// no constant.
double estimate(const Critic& d, double mu) {
  auto x = draw(mu, kJudges);
  const double slope = steepest(d, x);
  return -d_loss("wasserstein", d, x).item<double>() / slope;
}

double by_gradient_penalty(double mu) {
  auto net = critic();
  auto d = function_of(net);
  torch::optim::Adam adam(net->parameters(), torch::optim::AdamOptions(1e-3).betas({0.0, 0.9}));
  auto loss = [&](const Pair& x) {
    return d_loss("wasserstein", d, x) + 10 * gradient_penalty(d, x.real, x.fake, torch::rand(kBatch));
  };
  train(adam, mu, loss, [] {});
  return estimate(d, mu);
}

double by_clipping(double mu) {
  auto net = critic();
  auto d = function_of(net);
  torch::optim::RMSprop rmsprop(net->parameters(), torch::optim::RMSpropOptions(5e-4));
  auto clip = [&] {
    torch::NoGradGuard no_grad;
    for (auto& p : net->parameters()) p.clamp_(-0.05, 0.05);
  };
  train(
      rmsprop, mu, [&](const Pair& x) { return d_loss("wasserstein", d, x); }, clip);
  return estimate(d, mu);
}

// JS = log 2 + V / 2 at the optimal discriminator (Goodfellow 2014, theorem 1).
double jensen_shannon(double mu) {
  auto net = critic();
  auto d = function_of(net);
  torch::optim::Adam adam(net->parameters(), torch::optim::AdamOptions(1e-3).betas({0.0, 0.9}));
  train(
      adam, mu, [&](const Pair& x) { return d_loss("minimax", d, x); }, [] {});
  torch::NoGradGuard no_grad;
  return std::log(2) - d_loss("minimax", d, draw(mu, kJudges)).item<double>() / 2;
}

// One value a distance, printed and recorded: these are the figures of losses/README.md.
std::vector<double> measure(const char* name, double (*by)(double)) {
  torch::manual_seed(std::getenv("SADDLE_TEST_SEED") ? std::atoi(std::getenv("SADDLE_TEST_SEED")) : 1);
  std::vector<double> values;
  for (double mu : kDistances) {
    values.push_back(by(mu));
    std::printf("%s at mu %.1f: %.3f\n", name, mu, values.back());
  }
  return values;
}

TEST(Distance, ByGradientPenaltyIsWassersteins) {
  auto w = measure("gradient penalty", by_gradient_penalty);
  for (size_t i = 0; i < w.size(); ++i) EXPECT_NEAR(w[i] / kDistances[i], 1, 0.05) << "mu " << kDistances[i];
}

TEST(Distance, ByClippingGrowsButFallsShort) {
  auto w = measure("clipping", by_clipping);
  for (size_t i = 0; i < w.size(); ++i) EXPECT_LE(w[i], kDistances[i]);
  for (size_t i = 1; i < w.size(); ++i) EXPECT_GT(w[i], w[i - 1]);
}

TEST(Distance, ByJensenShannonIsFlat) {
  auto js = measure("Jensen-Shannon", jensen_shannon);
  for (double value : js) EXPECT_GE(value, 0.67);
  auto [low, high] = std::minmax({js[1], js[2], js[3]});
  EXPECT_LT(high - low, 0.02);
}

}  // namespace
}  // namespace saddle
