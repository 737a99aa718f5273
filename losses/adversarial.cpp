#include "losses/adversarial.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "dist/error.h"
#include "dist/tensor.h"

namespace saddle {
namespace {

using torch::Tensor;

// -log sigmoid(t) = sp(-t) and -log(1 - sigmoid(t)) = sp(t): no logarithm of a rounded probability.
Tensor sp(const Tensor& t) {
  return torch::softplus(t).mean();
}

Tensor half_square(const Tensor& t) {
  return 0.5 * t.square().mean();
}

Tensor logistic_d(const Tensor& real, const Tensor& fake) {
  return sp(-real) + sp(fake);
}

Tensor minus_mean(const Tensor& fake) {
  return -fake.mean();
}

std::vector<AdversarialLoss> table() {
  return {
      {"minimax", "D: sp(-D(x)) + sp(D(y));  G: -sp(D(y))", "Goodfellow 2014", logistic_d,
       [](const Tensor& fake) { return -sp(fake); }},
      {"non-saturating", "D: sp(-D(x)) + sp(D(y));  G: sp(-D(y))", "Goodfellow 2014", logistic_d,
       [](const Tensor& fake) { return sp(-fake); }},
      {"lsgan", "D: (D(x)-1)^2/2 + D(y)^2/2;  G: (D(y)-1)^2/2", "Mao 2017",
       [](const Tensor& real, const Tensor& fake) { return half_square(real - 1) + half_square(fake); },
       [](const Tensor& fake) { return half_square(fake - 1); }},
      {"wasserstein", "D: D(y) - D(x);  G: -D(y)", "Arjovsky 2017",
       [](const Tensor& real, const Tensor& fake) { return fake.mean() - real.mean(); }, minus_mean},
      {"hinge", "D: relu(1-D(x)) + relu(1+D(y));  G: -D(y)", "Lim and Ye 2017",
       [](const Tensor& real, const Tensor& fake) {
         return torch::relu(1 - real).mean() + torch::relu(1 + fake).mean();
       },
       minus_mean},
  };
}

}  // namespace

const std::vector<AdversarialLoss>& adversarial_losses() {
  static const std::vector<AdversarialLoss> losses = table();
  return losses;
}

const AdversarialLoss& adversarial_loss(const std::string& name) {
  const auto& losses = adversarial_losses();
  auto found =
      std::find_if(losses.begin(), losses.end(), [&](const auto& loss) { return loss.name == name; });
  if (found != losses.end()) return *found;
  std::vector<std::string> names;
  for (const auto& loss : losses) names.push_back(loss.name);
  fail(Exit::usage, "no adversarial loss '{}': choose one of {}", name, fmt::join(names, ", "));
}

}  // namespace saddle
