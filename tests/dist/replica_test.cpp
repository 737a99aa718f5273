// Gradients of powers of two, so that sums over ranks are exact in any order.
#include "dist/replica.h"

#include <gtest/gtest.h>

#include "dist/error.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

Replica::Named parameters(int count, int64_t size) {
  Replica::Named named;
  for (int i = 0; i < count; ++i)
    named.emplace_back("p" + std::to_string(i),
                       torch::full({size}, 1 << i, torch::kFloat).set_requires_grad(true));
  return named;
}

double total(int ranks) {
  return ranks * (ranks + 1) / 2.0;
}

TEST(Replica, ParametersAndGradientsAreViewsOfOneVector) {
  auto named = parameters(3, 4);
  Replica replica(test::world().comm("cpu"), named);
  replica.weights().fill_(5);
  for (auto& [name, p] : named) EXPECT_TRUE(p.eq(5).all().item<bool>()) << name;
  (named[1].second * 3).sum().backward();
  EXPECT_TRUE(replica.gradients().narrow(0, 4, 4).eq(3).all().item<bool>());
  EXPECT_TRUE(replica.gradients().narrow(0, 0, 4).eq(0).all().item<bool>());
}

TEST(Replica, StartsFromTheWeightsOfRankZero) {
  const Comm comm = test::world().comm("cpu");
  Replica::Named named{{"w", torch::full({3}, comm.rank() + 8, torch::kFloat).set_requires_grad(true)}};
  Replica replica(comm, named);
  EXPECT_TRUE(named[0].second.eq(8).all().item<bool>());
}

TEST(Replica, SumsGradientsInSmallBuckets) {
  const Comm comm = test::world().comm("cpu");
  auto named = parameters(6, 16);
  Replica replica(comm, named, {.first_bytes = 1, .bytes = 100});
  for (int step = 0; step < 3; ++step) {
    replica.zero_grad();
    torch::Tensor loss = torch::zeros({});
    for (auto& [name, p] : named) loss = loss + (p * (comm.rank() + 1)).sum();
    replica.arm();
    loss.backward();
    replica.finish();
    EXPECT_TRUE(replica.gradients().eq(total(comm.size())).all().item<bool>()) << "step " << step;
  }
}

TEST(Replica, ReducesWhatNoGradientReached) {
  const Comm comm = test::world().comm("cpu");
  auto named = parameters(4, 8);
  Replica replica(comm, named, {.first_bytes = 1, .bytes = 1});
  replica.zero_grad();
  replica.arm();
  // Each rank reaches another parameter: a reducer that launched in order of arrival would mix them up.
  (named[comm.rank() % 4].second * 2).sum().backward();
  replica.finish();
  for (int i = 0; i < 4; ++i) {
    const int reached = (comm.size() + 3 - i) / 4;
    EXPECT_TRUE(named[i].second.grad().eq(2 * reached).all().item<bool>()) << "parameter " << i;
  }
}

TEST(Replica, EarlierBackwardsOfTheStepCountToo) {
  const Comm comm = test::world().comm("cpu");
  auto named = parameters(3, 8);
  Replica replica(comm, named, {.first_bytes = 1, .bytes = 1});
  replica.zero_grad();
  for (auto& [name, p] : named) (p * (comm.rank() + 1)).sum().backward();  // D(real)
  replica.arm();
  torch::Tensor loss = torch::zeros({});
  for (auto& [name, p] : named) loss = loss + p.sum();  // D(fake)
  loss.backward();
  replica.finish();
  EXPECT_TRUE(replica.gradients().eq(total(comm.size()) + comm.size()).all().item<bool>());
}

TEST(Replica, AFrozenReplicaGetsNoGradientAndStartsNoCollective) {
  const Comm comm = test::world().comm("cpu");
  auto g = parameters(2, 4), d = parameters(2, 4);
  Replica learner(comm, g), frozen(comm, d);
  learner.learn(true);
  frozen.learn(false);
  learner.zero_grad();
  frozen.zero_grad();
  learner.arm();
  (g[0].second * d[0].second + g[1].second * d[1].second).sum().backward();
  learner.finish();
  EXPECT_TRUE(frozen.gradients().eq(0).all().item<bool>());
  EXPECT_TRUE(g[1].second.grad().eq(2 * comm.size()).all().item<bool>());
}

TEST(Replica, AnInnerDerivativeIsReducedOnceWithTheWhole) {
  const Comm comm = test::world().comm("cpu");
  auto named = parameters(1, 4);
  Replica replica(comm, named);
  replica.zero_grad();
  const torch::Tensor x = torch::full({4}, comm.rank() + 1, torch::kFloat).set_requires_grad(true);
  const torch::Tensor out = (named[0].second * x * x).sum();  // d/dx = 2 w x; its square's d/dw = 8 w x^2
  const torch::Tensor slope = torch::autograd::grad({out}, {x}, {}, true, true)[0];
  replica.arm();
  slope.square().sum().backward();
  replica.finish();
  double expected = 0;
  for (int r = 1; r <= comm.size(); ++r) expected += 8 * r * r;
  EXPECT_TRUE(replica.gradients().eq(expected).all().item<bool>());
}

TEST(Replica, ASecondBackwardPassAfterArmIsAnError) {
  const Comm comm = test::world().comm("cpu");
  auto named = parameters(2, 4);
  Replica replica(comm, named);
  replica.zero_grad();
  replica.arm();
  (named[0].second + named[1].second).sum().backward();
  try {
    named[1].second.sum().backward();
    FAIL() << "the second gradient would have been lost";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("'p1' got gradients of two backward passes"), std::string::npos)
        << e.what();
  }
  replica.finish();
}

TEST(Replica, ABackwardPassThatReachesNothingIsAnError) {
  auto named = parameters(2, 4);
  Replica replica(test::world().comm("cpu"), named);
  replica.arm();
  EXPECT_THROW(replica.finish(), Error);
  EXPECT_THROW(replica.finish(), Error) << "without arm";
}

TEST(Replica, NamesWhatABackwardPassDidNotReach) {
  auto named = parameters(3, 4);
  Replica replica(test::world().comm("cpu"), named);
  replica.arm();
  (named[0].second + named[2].second).sum().backward();
  replica.finish();
  EXPECT_EQ(replica.unreached(), std::vector<std::string>{"p1"});
}

TEST(Replica, LaunchesBucketsAsRankZeroSawThemFill) {
  const Comm comm = test::world().comm("cpu");
  Replica::Named named;
  for (const int64_t size : {1, 2, 3})
    named.emplace_back("p" + std::to_string(size), torch::ones({size}).set_requires_grad(true));
  Replica replica(comm, named, {.first_bytes = 1, .bytes = 1});
  EXPECT_EQ(replica.bucket_bytes(), (std::vector<int64_t>{12, 8, 4}));
  for (int step = 0; step < 2; ++step) {
    replica.zero_grad();
    // Rank 0's gradients arrive as 2, 3, 1; another rank's otherwise.
    torch::Tensor x = torch::ones({});
    const std::vector<int> order = comm.rank() == 0 ? std::vector{0, 2, 1} : std::vector{1, 0, 2};
    for (const int i : order) x = x + named[i].second.sum() * x.detach() * 0 + named[i].second.sum();
    replica.arm();
    x.backward();
    replica.finish();
    EXPECT_TRUE(replica.gradients().eq(comm.size()).all().item<bool>()) << "step " << step;
  }
  if (comm.size() > 1) {
    EXPECT_EQ(replica.bucket_bytes(), (std::vector<int64_t>{8, 12, 4}));
  }
}

TEST(Replica, BucketsGrowWithTheNet) {
  const Comm comm = test::world().comm("cpu");
  auto named = parameters(32, 1 << 18);  // of 1 MiB each
  Replica replica(comm, named);
  EXPECT_EQ(replica.bucket_bytes(), (std::vector<int64_t>{1 << 20, 4 << 20, 4 << 20, 4 << 20, 4 << 20,
                                                          4 << 20, 4 << 20, 4 << 20, 3 << 20}));
}

TEST(Replica, GradientsMayTravelInHalfPrecision) {
  const Comm comm = test::world().comm("cpu");
  for (const auto wire : {torch::kBFloat16, torch::kHalf}) {
    auto named = parameters(2, 8);
    Replica replica(comm, named, {.wire = wire});
    replica.zero_grad();
    replica.arm();
    // 257 needs nine bits: bfloat16 rounds it to 256, float16 holds it.
    ((named[0].second + named[1].second) * 257).sum().backward();
    replica.finish();
    const double each = comm.size() > 1 && wire == torch::kBFloat16 ? 256 : 257;
    EXPECT_TRUE(replica.gradients().eq(each * comm.size()).all().item<bool>()) << c10::toString(wire);
  }
}

TEST(Replica, KeepsChannelsLastParametersAsTheyLieInMemory) {
  const Comm comm = test::world().comm("cpu");
  const torch::Tensor image = torch::arange(24, torch::kFloat).view({1, 2, 3, 4}), values = image.clone();
  Replica::Named named{{"w", image.contiguous(at::MemoryFormat::ChannelsLast).set_requires_grad(true)}};
  Replica replica(comm, named);
  EXPECT_TRUE(named[0].second.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(named[0].second.equal(values));
  replica.zero_grad();
  replica.arm();
  (named[0].second * values).sum().backward();
  replica.finish();
  EXPECT_TRUE(named[0].second.grad().equal(values * comm.size()));
}

TEST(Replica, RefusesMixedDtypesRepeatsAndNothing) {
  const Comm comm = test::world().comm("cpu");
  const torch::Tensor p = torch::ones({2}).set_requires_grad(true);
  EXPECT_THROW(Replica(comm, {}), Error);
  EXPECT_THROW(Replica(comm, {{"a", p}, {"b", p}}), Error);
  EXPECT_THROW(Replica(comm, {{"a", p}, {"b", torch::ones({2}, torch::kDouble)}}), Error);
}

}  // namespace
}  // namespace saddle
