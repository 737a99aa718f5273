// The numbers by which a tournament chooses: what each is of samples whose worth is known.
#include "launch/measures.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dist/error.h"
#include "launch/preview.h"
#include "launch/trainer.h"
#include "tests/support/images.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

class Measures : public testing::Test {
 protected:
  // A system after some steps.
  Trainer& start(const std::string& system, std::vector<std::string> sets, std::shared_ptr<Dataset> data) {
    for (const char* set : {"g.width=4", "d.width=4", "latent=6", "seed=3", "precision=float64"})
      sets.emplace_back(set);
    data_ = std::move(data);
    trainer_.reset();
    run_ = std::make_unique<saddle::Run>();
    run_->resolve("system = \"" + system + "\"", "test", sets);
    trainer_ = std::make_unique<Trainer>(*run_, host_, data_);
    for (int i = 0; i < 3; ++i) trainer_->step();
    return *trainer_;
  }
  Metric metric(const std::string& name, int64_t batch = 8, int64_t samples = 48) {
    return make_metric(name, trainer_->system(), *data_, host_,
                       {.batch = batch, .samples = samples, .seed = 3});
  }
  // Of all ranks what rank 0 got.
  double value(const Metric& metric, const Batch& samples) const {
    return std::stod(host_.broadcast_text(fmt::format("{}", metric.value(samples))));
  }
  // Four centres, of which samples lie at the first `covered`; `bad` of ten lie nowhere.
  static Batch points(int64_t covered, int64_t bad) {
    torch::Tensor x = torch::zeros({400, 2}, torch::kDouble);
    for (int64_t i = 0; i < 400; ++i) x[i] = centers()[i / 10 % covered] + (i % 10 < bad ? 3.0 : 0.0);
    return {{"x", x}};
  }
  static torch::Tensor centers() {
    return torch::tensor({0, 0, 0, 10, 10, 0, 10, 10}, torch::kDouble).view({4, 2});
  }
  static std::shared_ptr<Dataset> mixture() {
    const Field x{.name = "x", .shape = {2}, .dtype = torch::kFloat, .classes = 0, .class_names = {}};
    return in_memory({{x}}, {{"x", uniform({1, "x"}, {0, 50}, {2}, torch::kFloat)}},
                     {{"mixture", {{"centers", {{0, 0}, {0, 10}, {10, 0}, {10, 10}}}, {"sigma", 0.1}}}});
  }

  Comm host_ = test::world().comm("cpu");
  std::shared_ptr<Dataset> data_;
  std::unique_ptr<saddle::Run> run_;
  std::unique_ptr<Trainer> trainer_;
};

TEST_F(Measures, ModesIsTheShareOfGoodSamplesTimesTheShareOfModes) {
  start("gan-ns", {"batch=8"}, mixture());
  const Metric modes = metric("modes");
  EXPECT_NEAR(value(modes, points(4, 0)), 1, 1e-12);
  EXPECT_NEAR(value(modes, points(2, 0)), 0.5, 1e-12);
  EXPECT_NEAR(value(modes, points(1, 0)), 0.25, 1e-12);
  EXPECT_NEAR(value(modes, points(4, 3)), 0.7, 1e-12);
  EXPECT_EQ(value(modes, points(4, 10)), 0);
  EXPECT_TRUE(modes.better(value(modes, points(4, 0)), value(modes, points(3, 0))));
  EXPECT_FALSE(modes.better(value(modes, points(4, 5)), value(modes, points(4, 4))));
}

TEST_F(Measures, CriticIsTheMeanOutputOfTheOwnD) {
  for (const std::string system : {"wgan-gp", "cgan"}) {
    Trainer& trainer = start(system, {"batch=8", "d.norm=none"}, test::images(50));
    const Batch samples = draw_samples(trainer.system(), {.count = 48, .seed = 1});
    const Metric critic = metric("critic");
    const Net d = *trainer.system().find("D");
    at::NoGradGuard no_grad;
    const torch::Tensor y = samples.has("label") ? samples["label"] : torch::Tensor();
    EXPECT_NEAR(value(critic, samples), d(samples["image"], y).mean().item<double>(), 1e-12) << system;
    EXPECT_TRUE(critic.higher_is_better);
  }
}

TEST_F(Measures, CriticJudgesInBatchesAsItWasTrainedAndLeavesBuffersAlone) {
  Trainer& trainer = start("dcgan", {"batch=8", "d.norm=batch", "d.minibatch_std=4"}, test::images(50));
  const Batch samples{{"image", real_samples(*data_, "image", 0, 48, torch::kDouble)}};
  const auto digest_of = [&] { return digest([&](StateVisitor& v) { trainer.visit(v); }); };
  const uint64_t before = digest_of();
  const double whole = value(metric("critic"), samples);
  EXPECT_EQ(digest_of(), before);
  Batch two;  // batches in another order: the same mean
  two.set("image", torch::cat({samples["image"].narrow(0, 24, 24), samples["image"].narrow(0, 0, 24)}));
  EXPECT_NEAR(value(metric("critic"), two), whole, 1e-12);
  Batch mixed;  // samples in other batches: another one, for D compares within them
  mixed.set("image", samples["image"].view({8, 6, 1, 16, 16}).transpose(0, 1).reshape({48, 1, 16, 16}));
  EXPECT_GT(std::abs(value(metric("critic"), mixed) - whole), 1e-9);
}

TEST_F(Measures, FdIsSmallForTheDataAndLargeForNoise) {
  start("cgan", {"batch=8"}, test::images(200));
  const Metric fd = metric("fd", 8, 96);
  const double of_data = value(fd, {{"image", real_samples(*data_, "image", 0, 96, torch::kFloat)}});
  const double of_others = value(fd, {{"image", real_samples(*data_, "image", 100, 96, torch::kFloat)}});
  const double of_nothing = value(fd, {{"image", torch::zeros({96, 1, 16, 16})}});
  EXPECT_NEAR(of_data, 0, 1e-6);
  EXPECT_TRUE(fd.better(of_data, of_others));
  EXPECT_TRUE(fd.better(of_others, of_nothing));
}

TEST_F(Measures, AMetricThatDoesNotFitIsAnError) {
  start("gan-ns", {"batch=8"}, mixture());
  EXPECT_THROW(metric("fd"), Error);
  start("gan-ns", {"batch=8"}, test::images(50));
  EXPECT_THROW(metric("modes"), Error);
}

}  // namespace
}  // namespace saddle
