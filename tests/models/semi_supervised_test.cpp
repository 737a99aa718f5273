// Classifiers of few labels: the past outputs, the ramp, the augmentation, the net.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/reflection_pad2d.h>

#include "dist/error.h"
#include "launch/engine/optimise.h"
#include "models/past_outputs.h"
#include "models/semi_supervised.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

using torch::Tensor;

class SemiSupervisedTest : public testing::Test {
 protected:
  Comm comm_ = test::world().comm("cpu");
  Stats stats_;
  Context context() const {
    return {.comm = comm_, .seed = 1, .dtype = torch::kDouble, .part = 6, .steps = 300, .labelled = 0.1};
  }
  // A step whose batch's ids and outputs are these, of which this rank has its share.
  void see(const PastOutputs& past, const std::vector<int64_t>& ids, const Tensor& z, int parts = 1) {
    const Tensor id = torch::tensor(ids);
    Step step({.seed = 1, .purpose = "test", .samples = {}, .dtype = torch::kDouble}, 0, stats_);
    const auto size = static_cast<int64_t>(ids.size()) / parts;
    for (int64_t part = 0; part < parts; ++part) {
      const Range mine = share(size, comm_.rank(), comm_.size());
      const Range here{part * size + mine.first, mine.count};
      step.rewind(here, 0);
      step.batch = {{"id", id.narrow(0, here.first, here.count)}};
      past.saw(step, z.narrow(0, here.first, here.count));
    }
    past.update(step);
  }
  std::pair<Tensor, Tensor> targets(const PastOutputs& past, const std::vector<int64_t>& ids) {
    Step step({.seed = 1, .purpose = "test", .samples = {0, 1}, .dtype = torch::kDouble}, 0, stats_);
    step.batch = {{"id", torch::tensor(ids)}};
    return past.targets(step);
  }
};

// What the division by 1 - alpha^n is for.
TEST_F(SemiSupervisedTest, TheAverageOfAConstantIsThatConstantFromTheFirstEpochOn) {
  System system(context());
  const PastOutputs past(system, 3, 0.6);
  const Tensor z = torch::rand({6, 3}, at::make_generator<at::CPUGeneratorImpl>(5), torch::kDouble);
  EXPECT_EQ(targets(past, {0, 5}).second.sum().item<double>(), 0);
  for (int epoch = 0; epoch < 20; ++epoch) {
    see(past, {4, 1, 0, 2, 5, 3}, z);
    const auto [target, seen] = targets(past, {4, 1, 0, 2, 5, 3});
    EXPECT_LE((target - z).abs().max().item<double>(), 1e-14) << epoch;
    EXPECT_EQ(seen.sum().item<double>(), 6);
  }
}

TEST_F(SemiSupervisedTest, TheAverageIsTheRecursionAlsoInPartsOnRanksAndWhereASampleComesTwice) {
  System system(context());
  const double alpha = 0.6;
  const PastOutputs past(system, 2, alpha);
  const Tensor z = torch::arange(12, torch::kDouble).reshape({6, 2});
  see(past, {7, 3, 7, 0, 3, 7}, z, /*parts=*/2);
  const auto expected = [&](std::vector<int64_t> rows) {
    Tensor sum = torch::zeros({2}, torch::kDouble);
    for (const int64_t row : rows) sum = alpha * sum + (1 - alpha) * z[row];
    return sum / (1 - std::pow(alpha, static_cast<double>(rows.size())));
  };
  const auto [target, seen] = targets(past, {7, 3, 0, 1, 100});
  EXPECT_LE((target[0] - expected({0, 2, 5})).abs().max().item<double>(), 1e-14);
  EXPECT_LE((target[1] - expected({1, 4})).abs().max().item<double>(), 1e-14);
  EXPECT_LE((target[2] - expected({3})).abs().max().item<double>(), 1e-14);
  EXPECT_TRUE(torch::equal(seen, torch::tensor({1., 1., 1., 0., 0.}, torch::kDouble)));
}

TEST_F(SemiSupervisedTest, TheWeightRisesToTheShareOfKnownLabelsTimesItsHeight) {
  System system(context());
  const SemiSupervised c =
      make_semi_supervised(system, {.width = 4, .consistency = 100}, few_labels()->schema());
  const auto weight = [&](int64_t number) {
    Step step({.seed = 1, .purpose = "test", .step = number, .samples = {0, 1}, .dtype = torch::kDouble},
              number, stats_);
    return c.weight(step).item<double>();
  };
  EXPECT_EQ(weight(0), 0);
  EXPECT_NEAR(weight(50), 10 * std::exp(-5 * 0.25), 1e-12);
  EXPECT_NEAR(weight(100), 10, 1e-12);
  EXPECT_NEAR(weight(299), 10, 1e-12);
}

TEST_F(SemiSupervisedTest, OnlyKnownLabelsAreLearnedAndAllSamplesCount) {
  System system(context());
  const SemiSupervised c = make_semi_supervised(system, {.width = 4}, few_labels()->schema());
  Step step({.seed = 1, .purpose = "test", .samples = {0, 4}, .dtype = torch::kDouble}, 0, stats_);
  step.batch = {{"label", torch::tensor(std::vector<int64_t>{2, -1, 0, -1})}};
  const Tensor scores =
      torch::tensor({1., 2., 3., 9., 0., 0., 0., 0., 5., 0., 7., 0.}, torch::kDouble).reshape({4, 3});
  const double one = -std::log(std::exp(3.) / (std::exp(1.) + std::exp(2.) + std::exp(3.)));
  const double other = -std::log(1 / (2 + std::exp(5.)));
  EXPECT_NEAR(c.supervised(step, scores).item<double>(), (one + other) / 4, 1e-12);
}

TEST_F(SemiSupervisedTest, ImagesAreMovedWithReflectedBordersEachByItsOwn) {
  Draw draw({.seed = 3, .purpose = "test", .samples = {0, 40}, .dtype = torch::kDouble});
  const Tensor images = torch::arange(40 * 2 * 5 * 4, torch::kDouble).reshape({40, 2, 5, 4});
  const Tensor moved = jittered(draw, images, 1, false);
  const Tensor padded = at::reflection_pad2d(images, {1, 1, 1, 1});
  std::set<int64_t> moves;
  for (int64_t i = 0; i < 40; ++i) {
    int64_t found = -1;
    for (int64_t at = 0; at < 9; ++at)
      if (torch::equal(moved[i], padded[i].narrow(1, at / 3, 5).narrow(2, at % 3, 4))) found = at;
    EXPECT_GE(found, 0) << i;
    moves.insert(found);
  }
  EXPECT_EQ(moves.size(), 9);
  EXPECT_TRUE(torch::equal(jittered(draw, images, 0, false), images));
  const Tensor flipped = jittered(draw, images, 0, true);
  int64_t turned = 0;
  for (int64_t i = 0; i < 40; ++i) {
    const bool same = torch::equal(flipped[i], images[i]);
    EXPECT_TRUE(same || torch::equal(flipped[i], images[i].flip(2))) << i;
    turned += same ? 0 : 1;
  }
  EXPECT_GT(turned, 8);
  EXPECT_LT(turned, 32);
  EXPECT_THROW(jittered(draw, images, 4, false), Error);
}

TEST_F(SemiSupervisedTest, NoiseAndDropoutAreForTrainingOnly) {
  System system(context());
  const SemiSupervised c = make_semi_supervised(system, {.width = 4}, few_labels()->schema());
  Draw draw({.seed = 3, .purpose = "test", .samples = {0, 6}, .dtype = torch::kDouble});
  const Tensor x = torch::rand({6, 1, 16, 16}, at::make_generator<at::CPUGeneratorImpl>(5), torch::kDouble);
  const Tensor one = c.net({x, {}, &draw}).x, other = c.net({x, {}, &draw}).x;
  EXPECT_GT((one - other).abs().max().item<double>(), 1e-3);
  c.net.live->train(false);
  EXPECT_TRUE(torch::equal(c.net({x, {}, &draw}).x, c.net({x}).x));
}

}  // namespace
}  // namespace saddle
