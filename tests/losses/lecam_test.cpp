// LeCam regularisation against its definition and the authors' code (tests/support/goldens.h).
#include "losses/lecam.h"

#include <gtest/gtest.h>

#include "gradient_check.h"
#include "losses/adversarial.h"
#include "tests/support/goldens.h"

namespace saddle {
namespace {

using nlohmann::json;
using test::apart;
using test::f64;
using torch::Tensor;

Tensor numbers(const json& list) {
  return torch::tensor(list.get<std::vector<double>>(), f64());
}

Tensor number(double value) {
  return torch::full({}, value, f64());
}

std::vector<json> tables() {
  std::vector<json> all;
  for (const auto& path : test::golden_files("lecam_", ".json")) all.push_back(json::parse(read_file(path)));
  return all;
}

constexpr double kTolerance = 1e-5;  // the authors' code works in float32

void expect_near(const Tensor& ours, const json& theirs, const std::string& what) {
  EXPECT_NEAR(ours.item<double>(), theirs.get<double>(),
              kTolerance * std::max(1.0, std::abs(theirs.get<double>())))
      << what;
}

TEST(LecamGolden, StepsAreTheAuthors) {
  for (const json& table : tables())
    for (const json& run : table.at("steps")) {
      const auto start = run.at("start_itr").get<int64_t>();
      Tensor averages = torch::full({2}, run.at("init").get<double>(), f64());
      const AdversarialLoss hinge = adversarial_loss("hinge");
      for (const json& step : run.at("sequence")) {
        const auto number_of_step = step.at("itr").get<int64_t>();
        const std::string what = fmt::format("start {}, step {}", start, number_of_step);
        const Tensor real = numbers(step.at("D_real")).requires_grad_(),
                     fake = numbers(step.at("D_fake")).requires_grad_();
        const Tensor means = torch::stack({real.mean(), fake.mean()}).detach();
        averages =
            lecam_average(averages, means, run.at("decay").get<double>(), number(number_of_step < start));
        expect_near(averages[0], step.at("ema_D_real"), what);
        expect_near(averages[1], step.at("ema_D_fake"), what);
        const Tensor regulariser = lecam(real, fake, averages[0], averages[1]);
        expect_near(regulariser, step.at("lecam_reg"), what);
        EXPECT_EQ(number_of_step > start, step.at("lecam_active").get<bool>()) << what;
        Tensor loss = total(hinge.d(real, fake, mean_here));
        if (number_of_step > start) loss = loss + run.at("LC").get<double>() * regulariser;
        expect_near(loss, step.at("loss"), what);
        const auto gradients = torch::autograd::grad({loss}, {real, fake});
        EXPECT_LE(apart(gradients[0], numbers(step.at("grad_D_real"))), 1e-4) << what;
        EXPECT_LE(apart(gradients[1], numbers(step.at("grad_D_fake"))), 1e-4) << what;
      }
    }
}

// The averages freed of their start from zero, on the scores of the first sequence.
TEST(LecamGolden, AveragesWithoutTheirStartAreTheAuthors) {
  for (const json& table : tables()) {
    const json& freed = table.at("zero_debiased");
    const double decay = freed.at("decay").get<double>();
    Tensor averages = torch::zeros({2}, f64());
    for (size_t i = 0; i < freed.at("sequence").size(); ++i) {
      const json &step = freed.at("sequence")[i], &scores = table.at("steps")[0].at("sequence")[i];
      const Tensor real = numbers(scores.at("D_real")), fake = numbers(scores.at("D_fake"));
      averages = lecam_average(averages, torch::stack({real.mean(), fake.mean()}), decay, number(0));
      const Tensor worth = averages / (1 - std::pow(decay, static_cast<double>(i + 1)));
      expect_near(worth[0], step.at("ema_D_real"), "real");
      expect_near(worth[1], step.at("ema_D_fake"), "fake");
      expect_near(lecam(real, fake, worth[0], worth[1]), step.at("lecam_reg"), "regulariser");
    }
  }
}

// Pairs of losses in the same file; least squares there is without the half, with targets -1, 1 and 0.
TEST(LecamGolden, LossesBesideItAreTheAuthors) {
  for (const json& table : tables()) {
    const json& file = table.at("losses");
    const Tensor real = numbers(file.at("D_real")).requires_grad_(),
                 fake = numbers(file.at("D_fake")).requires_grad_();
    for (const auto& [name, row] : file.at("table").items()) {
      const bool of_d = name.find("_dis") != std::string::npos, average = name.starts_with("ra"),
                 squares = name.starts_with("ls");
      const AdversarialLoss loss = adversarial_loss(average          ? "rahinge"
                                                    : squares        ? "lsgan"
                                                    : name[0] == 'h' ? "hinge"
                                                                     : "non-saturating",
                                                    {.a = 1, .b = -1, .c = 0});
      // Their generator's relativistic loss takes the mean of the real scores for each of them.
      const Tensor reals = average && !of_d ? real.mean().detach().expand(fake.sizes()) : real;
      const Values values = of_d ? loss.d(reals, fake, mean_here) : loss.g(reals, fake, mean_here);
      const double times = squares ? 2 : 1;
      const json& theirs = row.at("values");
      if (theirs.size() == 2) expect_near(times * values.real.mean(), theirs[0], name);
      if (theirs.size() == 2) expect_near(times * values.fake.mean(), theirs[1], name);
      if (theirs.size() == 1) expect_near(times * total(values), theirs[0], name);
      const auto gradients =
          torch::autograd::grad({times * total(values)}, {real, fake}, {}, true, false, true);
      if (!row.at("grad_D_real").is_null()) {
        EXPECT_LE(apart(gradients[0], numbers(row.at("grad_D_real"))), 1e-4) << name;
      }
      EXPECT_LE(apart(gradients[1], numbers(row.at("grad_D_fake"))), 1e-4) << name;
    }
  }
}

TEST(Lecam, IsZeroAtItsTargetsAndReachesOnlyTheScores) {
  const Tensor real = torch::full({4}, 0.5, f64()).requires_grad_(),
               fake = torch::full({4}, -0.5, f64()).requires_grad_(), a_real = number(-0.5).requires_grad_(),
               a_fake = number(0.5).requires_grad_();
  for (const bool one_sided : {true, false}) {
    const Tensor value = lecam(real, fake, a_real, a_fake, one_sided);
    EXPECT_EQ(value.item<double>(), 0);
    EXPECT_FALSE(torch::autograd::grad({lecam(real, fake, a_real, a_fake, one_sided)}, {a_real}, {}, {},
                                       false,
                                       /*allow_unused=*/true)[0]
                     .defined());
  }
  const Tensor low = torch::full({4}, 0.2, f64());
  EXPECT_EQ(lecam(low, fake, a_real, a_fake).item<double>(), 0) << "one-sided: below the average";
  EXPECT_NEAR(lecam(low, fake, a_real, a_fake, /*one_sided=*/false).item<double>(), 0.09, 1e-12);
}

// Tseng 2021, proposition 1, with a_real = -a_fake = a: the two-sided penalty of weight l makes of the
// Wasserstein value at the best D (1 / (2 l) - a) times the LeCam divergence, sum (p - q)^2 / (p + q).
TEST(Lecam, MakesALeCamDivergenceOfTheWassersteinValue) {
  const Tensor p = torch::tensor({0.1, 0.2, 0.3, 0.4}, f64()), q = torch::tensor({0.5, 0.2, 0.2, 0.1}, f64());
  const double weight = 0.3, a = 0.4;
  Tensor d = torch::zeros({4}, f64()).requires_grad_();
  for (int i = 0; i < 4000; ++i) {
    const Tensor loss = (q * d).sum() - (p * d).sum() +
                        weight * ((p * (d + a).square()).sum() + (q * (d - a).square()).sum());
    const Tensor gradient = torch::autograd::grad({loss}, {d})[0];
    const at::NoGradGuard no_grad;
    d -= 0.5 * gradient;
  }
  const Tensor best = (p - q) * (1 - 2 * weight * a) / (2 * weight * (p + q));
  EXPECT_LE((d - best).abs().max().item<double>(), 1e-3);
  const double divergence = ((p - q).square() / (p + q)).sum().item<double>();
  EXPECT_NEAR(((p - q) * d).sum().item<double>(), (1 / (2 * weight) - a) * divergence, 1e-3);
}

}  // namespace
}  // namespace saddle
