// Collectives of CUDA tensors through Comm, at any world size; ranks may share a device. All sums are exact.
#include <gtest/gtest.h>

#include "dist/draw.h"
#include "dist/replica.h"
#include "dist/stats.h"
#include "models/optimizer.h"
#include "tests/gpu/device.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

using test::comm;
using test::world;

torch::TensorOptions here(torch::ScalarType dtype) {
  return torch::dtype(dtype).device(comm().device());
}
int64_t ranks_below() {
  return int64_t{comm().size()} * (comm().size() - 1) / 2;
}

TEST(Device, IsTheOneOfTheLocalRank) {
  EXPECT_EQ(comm().size(), world().size());
  if (test::rehearsal()) GTEST_SKIP() << "a rehearsal";
  EXPECT_TRUE(comm().device().is_cuda());
  EXPECT_EQ(torch::zeros({1}, torch::kCUDA).device(), comm().device()) << "the current device is another one";
}

TEST(Device, AllReduceSums) {
  for (auto dtype : {torch::kFloat, torch::kDouble, torch::kHalf, torch::kBFloat16, torch::kLong}) {
    torch::Tensor x = torch::full({3, 5}, comm().rank(), here(dtype));
    comm().all_reduce(x);
    EXPECT_TRUE(x.eq(ranks_below()).all().item<bool>()) << torch::toString(dtype) << " " << x;
  }
}

TEST(Device, AllReduceTakesTheGreatest) {
  torch::Tensor x = torch::full({7}, comm().rank(), here(torch::kFloat));
  comm().all_reduce(x, Reduce::max);
  EXPECT_TRUE(x.eq(comm().size() - 1).all().item<bool>()) << x;
}

TEST(Device, AllReduceInFlightDoesNotDisturbOtherWork) {
  torch::Tensor x = torch::full({1 << 20}, comm().rank(), here(torch::kFloat)),
                other = torch::ones({1 << 20}, x.options());
  Wait wait = comm().all_reduce_async(x);
  for (int i = 0; i < 8; ++i) other.mul_(2);
  wait();
  EXPECT_TRUE(x.eq(ranks_below()).all().item<bool>());
  EXPECT_TRUE(other.eq(256).all().item<bool>());
}

TEST(Device, BroadcastTakesTheRoots) {
  for (int root = 0; root < comm().size(); ++root) {
    torch::Tensor x = torch::full({4}, 10 + comm().rank(), here(torch::kFloat));
    comm().broadcast(x, root);
    EXPECT_TRUE(x.eq(10 + root).all().item<bool>()) << x;
  }
}

TEST(Device, AllGatherKeepsTheOrderOfRanks) {
  torch::Tensor all = comm().all_gather(torch::full({2}, comm().rank(), here(torch::kLong)));  // [size, 2]
  EXPECT_TRUE(all.eq(torch::arange(comm().size(), here(torch::kLong)).unsqueeze(1)).all().item<bool>())
      << all;
}

TEST(Device, TextTravelsOnTheHost) {
  EXPECT_EQ(comm().broadcast_text(comm().rank() == 0 ? "hello" : "no"), "hello");
  EXPECT_EQ(comm().all_gather_text(std::to_string(comm().rank())).back(), std::to_string(comm().size() - 1));
}

TEST(Device, ReplicaSumsGradientsInBuckets) {
  torch::Tensor a = torch::full({300, 7}, 1.0 + comm().rank(), here(torch::kFloat)),
                b = torch::ones({5}, a.options());
  a.requires_grad_(), b.requires_grad_();
  Replica replica(comm(), {{"a", a}, {"b", b}}, {.first_bytes = 16, .bytes = 1024});
  EXPECT_TRUE(a.eq(1).all().item<bool>()) << "weights are rank 0's";
  replica.learn(true);
  replica.zero_grad();
  replica.arm();
  (a.sum() * (1 + comm().rank()) + b.sum()).backward();
  replica.finish();
  EXPECT_TRUE(a.grad().eq(ranks_below() + comm().size()).all().item<bool>());
  EXPECT_TRUE(b.grad().eq(comm().size()).all().item<bool>());
}

TEST(Device, StatsAreThoseOfAllRanks) {
  Stats stats;
  for (int tick = 0; tick < 2; ++tick) {
    stats.report("rank", torch::full({2, 3}, comm().rank(), here(torch::kFloat)));
    const auto moments = stats.tick(comm());
    ASSERT_EQ(moments.size(), 1U);
    EXPECT_EQ(moments[0].count, 6 * comm().size());
    EXPECT_DOUBLE_EQ(moments[0].mean, (comm().size() - 1) / 2.0);
  }
}

TEST(Device, DrawsAreThoseOfTheHost) {
  const auto draw = [](torch::Device device) {
    return Draw({.seed = 1, .purpose = "test", .step = 2, .samples = {3, 5}, .device = device});
  };
  Draw there = draw(comm().device()), host = draw(torch::kCPU);
  for (const auto& [a, b] : {std::pair{there.normal({7}), host.normal({7})},
                             {there.uniform({2, 2}), host.uniform({2, 2})},
                             {there.integers(10), host.integers(10)}}) {
    EXPECT_EQ(a.device(), comm().device());
    EXPECT_TRUE(torch::equal(a.cpu(), b));
  }
}

TEST(Device, ATapeIsRefilledInPlace) {
  const auto draw = [](int64_t step) {
    return Draw({.seed = 1, .purpose = "test", .step = step, .samples = {0, 4}, .device = comm().device()});
  };
  torch::Tensor latent;
  Draw first = draw(0), second = draw(1), again = draw(1);
  const Tape tape = first.record([&] { latent = first.normal({3}); });
  second.refill(tape);
  EXPECT_TRUE(torch::equal(latent.cpu(), again.normal({3}).cpu()));
}

TEST(Device, ALossScaleHalvesAndTheStepIsSkipped) {
  torch::Tensor weights = torch::ones({5}, here(torch::kFloat));
  LossScale scale(comm().device());
  const double before = scale.value().item<double>();
  const auto optimizer = make_optimizer(AdamOptions{}, weights);
  for (const double bad : {1.0, 0.0}) {
    const torch::Tensor skip = torch::full({1}, bad, here(torch::kFloat));
    torch::Tensor gradients = torch::full({5}, bad == 1 ? INFINITY : before, here(torch::kFloat));
    optimizer->step(weights, gradients, {.divisor = scale.value().clone(), .skip = skip});
    scale.update(skip);
    EXPECT_EQ(weights.eq(1).all().item<bool>(), bad == 1);
  }
  EXPECT_EQ(scale.value().item<double>(), before / 2);
  EXPECT_TRUE(weights.isfinite().all().item<bool>());
}

}  // namespace
}  // namespace saddle
