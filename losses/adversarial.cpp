#include "losses/adversarial.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "dist/error.h"

namespace saddle {
namespace {

using torch::Tensor;
using Side = AdversarialLoss::Side;

// -log sigmoid(t) = sp(-t) and -log(1 - sigmoid(t)) = sp(t): no logarithm of a rounded probability.
Tensor sp(const Tensor& t) {
  return torch::softplus(t);
}

Tensor half_square(const Tensor& t) {
  return 0.5 * t.square();
}

// Real samples count as real by 1 - smoothing only.
Side logistic_d(double smoothing) {
  return [smoothing](const Tensor& real, const Tensor& fake, const Mean&) {
    if (smoothing == 0) return Values{sp(-real), sp(fake)};
    return Values{(1 - smoothing) * sp(-real) + smoothing * sp(real), sp(fake)};
  };
}

Side on_fake(Tensor (*value)(const Tensor& fake)) {
  return [value](const Tensor&, const Tensor& fake, const Mean&) { return Values{{}, value(fake)}; };
}

Tensor minus(const Tensor& t) {
  return -t;
}

// Of one side's distance from the other's mean, small where it is far above.
using Margin = Tensor (*)(const Tensor&);

AdversarialLoss relativistic_average(const char* name, const char* l, Margin margin) {
  const auto side = [margin](double sign) -> Side {
    return [=](const Tensor& real, const Tensor& fake, const Mean& mean) {
      return Values{0.5 * margin(sign * (real - mean(fake))), 0.5 * margin(-sign * (fake - mean(real)))};
    };
  };
  return {
      .name = name,
      .formula = fmt::format("D: (l(D(x)-mean D(y)) + l(mean D(x)-D(y)))/2, l(t) = {};  G: the reverse", l),
      .source = "Jolicoeur-Martineau 2019",
      .d = side(1),
      .g = side(-1),
      .g_needs_real = true};
}

}  // namespace

Tensor mean_here(const Tensor& x) {
  return x.mean();
}

Tensor total(const Values& values) {
  if (!values.real.defined()) return values.fake.mean();
  if (!values.fake.defined()) return values.real.mean();
  return values.real.mean() + values.fake.mean();
}

std::vector<AdversarialLoss> adversarial_losses(const LossOptions& options) {
  const double a = options.a, b = options.b, c = options.c, smoothing = options.label_smoothing;
  const Side paired_d = [](const Tensor& real, const Tensor& fake, const Mean&) {
    return Values{{}, sp(-(real - fake))};
  };
  const Side paired_g = [](const Tensor& real, const Tensor& fake, const Mean&) {
    return Values{{}, sp(-(fake - real))};
  };
  return {
      {.name = "minimax",
       .formula = "D: sp(-D(x)) + sp(D(y));  G: -sp(D(y))",
       .source = "Goodfellow 2014",
       .d = logistic_d(smoothing),
       .g = on_fake([](const Tensor& fake) { return -sp(fake); }),
       .logistic = true},
      {.name = "non-saturating",
       .formula = "D: sp(-D(x)) + sp(D(y));  G: sp(-D(y))",
       .source = "Goodfellow 2014",
       .d = logistic_d(smoothing),
       .g = on_fake([](const Tensor& fake) { return sp(-fake); }),
       .logistic = true},
      {.name = "lsgan",
       .formula = "D: (D(x)-b)^2/2 + (D(y)-a)^2/2;  G: (D(y)-c)^2/2",
       .source = "Mao 2017",
       .d =
           [=](const Tensor& real, const Tensor& fake, const Mean&) {
             return Values{half_square(real - b), half_square(a == 0 ? fake : fake - a)};
           },
       .g =
           [=](const Tensor&, const Tensor& fake, const Mean&) {
             return Values{{}, half_square(fake - c)};
           }},
      {.name = "wasserstein",
       .formula = "D: D(y) - D(x);  G: -D(y)",
       .source = "Arjovsky 2017",
       .d =
           [](const Tensor& real, const Tensor& fake, const Mean&) {
             return Values{-real, fake};
           },
       .g = on_fake(minus)},
      {.name = "hinge",
       .formula = "D: relu(1-D(x)) + relu(1+D(y));  G: -D(y)",
       .source = "Lim and Ye 2017",
       .d =
           [](const Tensor& real, const Tensor& fake, const Mean&) {
             return Values{torch::relu(1 - real), torch::relu(1 + fake)};
           },
       .g = on_fake(minus)},
      {.name = "rpgan",
       .formula = "D: sp(-(D(x_i)-D(y_i)));  G: sp(-(D(y_i)-D(x_i)))",
       .source = "Jolicoeur-Martineau 2019",
       .d = paired_d,
       .g = paired_g,
       .g_needs_real = true,
       .paired = true},
      relativistic_average("ragan", "sp(-t)", [](const Tensor& t) { return sp(-t); }),
      relativistic_average("ralsgan", "(t-1)^2", [](const Tensor& t) { return (t - 1).square(); }),
      relativistic_average("rahinge", "relu(1-t)", [](const Tensor& t) { return torch::relu(1 - t); }),
  };
}

std::vector<std::string> adversarial_loss_names() {
  std::vector<std::string> names;
  for (const AdversarialLoss& loss : adversarial_losses()) names.push_back(loss.name);
  return names;
}

AdversarialLoss adversarial_loss(const std::string& name, const LossOptions& options) {
  for (AdversarialLoss& loss : adversarial_losses(options)) {
    if (loss.name != name) continue;
    require(
        options.label_smoothing == 0 || loss.logistic, Exit::usage,
        "label_smoothing is for losses of probabilities (minimax, non-saturating), the loss is {}: leave it "
        "at 0, or choose another loss{}",
        name, name == "lsgan" ? ", or lsgan.b = 0.9" : "");
    return std::move(loss);
  }
  fail(Exit::usage, "no adversarial loss '{}': choose one of {}", name,
       fmt::join(adversarial_loss_names(), ", "));
}

}  // namespace saddle
