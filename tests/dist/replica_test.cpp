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

TEST(Replica, RefusesMixedDtypesRepeatsAndNothing) {
  const Comm comm = test::world().comm("cpu");
  const torch::Tensor p = torch::ones({2}).set_requires_grad(true);
  EXPECT_THROW(Replica(comm, {}), Error);
  EXPECT_THROW(Replica(comm, {{"a", p}, {"b", p}}), Error);
  EXPECT_THROW(Replica(comm, {{"a", p}, {"b", torch::ones({2}, torch::kDouble)}}), Error);
}

}  // namespace
}  // namespace saddle
