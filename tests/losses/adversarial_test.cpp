#include "losses/adversarial.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/sigmoid.h>
#include <gmock/gmock.h>

#include <cmath>

#include "dist/error.h"
#include "gradient_check.h"

namespace saddle {
namespace {

using test::expect_gradient;
using test::f64;
using torch::Tensor;
using Vector = std::vector<double>;

double softplus(double t) {
  return std::log1p(std::exp(t));
}

double mean(const Vector& values, const std::function<double(double)>& f) {
  double sum = 0;
  for (double v : values) sum += f(v);
  return sum / static_cast<double>(values.size());
}

double d_loss(const std::string& name, const Vector& real, const Vector& fake) {
  return total(adversarial_loss(name).d(torch::tensor(real, f64()), torch::tensor(fake, f64()), mean_here))
      .item<double>();
}

double g_loss(const std::string& name, const Vector& fake) {
  const Tensor x = torch::tensor(fake, f64());
  return total(adversarial_loss(name).g(torch::zeros_like(x), x, mean_here)).item<double>();
}

const Vector kReal = {2.0, -0.5, 0.25},
             kFake = {-1.5, 0.75};  // of different sizes: each side is its own mean

TEST(AdversarialLoss, IsTheFormulaOfItsPaper) {
  auto square = [](double v) { return v * v; };
  const double logistic = mean(kReal, [](double v) { return softplus(-v); }) + mean(kFake, softplus);
  EXPECT_NEAR(d_loss("minimax", kReal, kFake), logistic, 1e-12);
  EXPECT_NEAR(d_loss("non-saturating", kReal, kFake), logistic, 1e-12);
  EXPECT_NEAR(g_loss("minimax", kFake), -mean(kFake, softplus), 1e-12);
  EXPECT_NEAR(g_loss("non-saturating", kFake), mean(kFake, [](double v) { return softplus(-v); }), 1e-12);
  EXPECT_NEAR(d_loss("lsgan", kReal, kFake),
              mean(kReal, [&](double v) { return square(v - 1) / 2; }) +
                  mean(kFake, [&](double v) { return square(v) / 2; }),
              1e-12);
  EXPECT_NEAR(g_loss("lsgan", kFake), mean(kFake, [&](double v) { return square(v - 1) / 2; }), 1e-12);
  EXPECT_NEAR(d_loss("wasserstein", kReal, kFake), -0.375 - 1.75 / 3, 1e-12);
  EXPECT_NEAR(g_loss("wasserstein", kFake), 0.375, 1e-12);
  EXPECT_NEAR(d_loss("hinge", kReal, kFake), (0 + 1.5 + 0.75) / 3 + (0 + 1.75) / 2, 1e-12);
  EXPECT_NEAR(g_loss("hinge", kFake), 0.375, 1e-12);
}

TEST(AdversarialLoss, HasItsKnownValueWhereTheDiscriminatorIsZero) {
  const Vector zero(4, 0.0);
  const double log2 = std::log(2);
  const std::map<std::string, std::pair<double, double>> expected = {{"minimax", {2 * log2, -log2}},
                                                                     {"non-saturating", {2 * log2, log2}},
                                                                     {"lsgan", {0.5, 0.5}},
                                                                     {"wasserstein", {0, 0}},
                                                                     {"hinge", {2, 0}},
                                                                     {"rpgan", {log2, log2}},
                                                                     {"ragan", {log2, log2}},
                                                                     {"ralsgan", {1, 1}},
                                                                     {"rahinge", {1, 1}}};
  for (const auto& loss : adversarial_losses()) {
    ASSERT_TRUE(expected.contains(loss.name)) << loss.name << " has no expected value here: add one";
    EXPECT_NEAR(d_loss(loss.name, zero, zero), expected.at(loss.name).first, 1e-15) << loss.name;
    EXPECT_NEAR(g_loss(loss.name, zero), expected.at(loss.name).second, 1e-15) << loss.name;
  }
}

TEST(AdversarialLoss, HasTheGradientOfItsDifferences) {
  auto real = torch::tensor(kReal, f64()).requires_grad_(),
       fake = torch::tensor(kFake, f64()).requires_grad_(),
       more = torch::tensor({-1.5, 0.75, 0.5}, f64()).requires_grad_();  // as many as real ones
  for (const auto& loss : adversarial_losses()) {
    SCOPED_TRACE(loss.name);
    const Tensor& other = loss.paired ? more : fake;
    const auto d = [&] { return total(loss.d(real, other, mean_here)); };
    const auto g = [&] { return total(loss.g(real, other, mean_here)); };
    for (const auto& [f, x] : {std::pair{d, real}, std::pair{d, other}}) expect_gradient(f, x);
    expect_gradient(g, other);
  }
}

TEST(AdversarialLoss, StaysFiniteAtExtremeLogits) {
  for (const auto& loss : adversarial_losses())
    for (double logit : {-1e4, 1e4}) {
      auto x = torch::full({2}, logit, torch::kFloat).requires_grad_();  // float32: exp overflows
      auto sum = total(loss.d(x, x, mean_here)) + total(loss.g(x, x, mean_here));
      EXPECT_TRUE(std::isfinite(sum.item<double>())) << loss.name;
      EXPECT_TRUE(torch::autograd::grad({sum}, {x})[0].isfinite().all().item<bool>()) << loss.name;
    }
}

TEST(AdversarialLoss, IgnoresTheShapeOfTheLogits) {
  auto real = torch::randn({6, 1, 2, 2}, f64()), fake = torch::randn({6, 1, 2, 2}, f64());
  for (const auto& loss : adversarial_losses()) {
    const Tensor flat_real = real.flatten(), flat_fake = fake.flatten();
    for (const auto& side : {loss.d, loss.g})
      EXPECT_TRUE(
          torch::allclose(total(side(real, fake, mean_here)), total(side(flat_real, flat_fake, mean_here))))
          << loss.name;
  }
}

TEST(AdversarialLoss, NamesItsFellowsWhenAskedForAnUnknownOne) {
  try {
    adversarial_loss("vanilla");
    FAIL() << "accepted an unknown name";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, Exit::usage);
    for (const auto& loss : adversarial_losses()) EXPECT_THAT(error.what(), testing::HasSubstr(loss.name));
  }
}

// Goodfellow 2014, section 4.1, on four symbols: a batch holds every symbol in proportion to its probability,
// and the discriminator is a free table of logits.
struct Symbols {
  Tensor real, fake;  // indices; ten a batch
  Tensor table = torch::zeros(4, f64()).requires_grad_();

  Tensor loss() const {
    return total(
        adversarial_loss("minimax").d(table.index_select(0, real), table.index_select(0, fake), mean_here));
  }

  void descend(int steps, double rate) {
    for (int i = 0; i < steps; ++i) {
      auto gradient = torch::autograd::grad({loss()}, {table})[0];
      torch::NoGradGuard no_grad;
      table -= rate * gradient;
    }
  }
};

double kl(const Vector& p, const Vector& q) {
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum += p[i] * std::log(p[i] / q[i]);
  return sum;
}

TEST(AdversarialLoss, IsMinimalAtTheOptimalDiscriminator) {
  Symbols s{.real = torch::tensor({0, 1, 1, 2, 2, 2, 3, 3, 3, 3}),
            .fake = torch::tensor({0, 0, 0, 0, 0, 1, 1, 2, 2, 3})};
  const Vector p = {0.1, 0.2, 0.3, 0.4}, q = {0.5, 0.2, 0.2, 0.1};
  s.descend(1000, 8);
  Vector middle(4);
  for (size_t i = 0; i < 4; ++i) {
    middle[i] = (p[i] + q[i]) / 2;
    EXPECT_NEAR(torch::sigmoid(s.table)[i].item<double>(), p[i] / (p[i] + q[i]), 1e-3);
  }
  const double js = (kl(p, middle) + kl(q, middle)) / 2;
  EXPECT_NEAR(-s.loss().item<double>(), -std::log(4) + 2 * js, 1e-4);
}

// Every gradient of a generator passes through its gradient in the fake logits.
TEST(AdversarialLoss, StarvesTheMinimaxGeneratorWhereSupportsAreDisjoint) {
  Symbols s{.real = torch::tensor({0, 0, 1, 1, 1}), .fake = torch::tensor({2, 2, 2, 3, 3})};
  s.descend(200, 8);
  auto logits = s.table.detach().index_select(0, s.fake).requires_grad_(true);
  auto norm = [&](const char* name) {
    return torch::autograd::grad({total(adversarial_loss(name).g({}, logits, mean_here))}, {logits})[0]
        .norm()
        .item<double>();
  };
  EXPECT_LT(norm("minimax"), 0.01 * norm("non-saturating"));
  EXPECT_NEAR(-s.loss().item<double>(), 0, 0.02);  // -log 4 + 2 JS with JS = log 2
}

}  // namespace
}  // namespace saddle
