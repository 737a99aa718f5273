// CUDA graphs: what the plugin captures, and whole trainings with and without them, at any world size.
#include <gmock/gmock.h>

#include "tests/gpu/training.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

using test::comm;

torch::Tensor zeros() {
  return torch::zeros({1000}, torch::dtype(torch::kFloat).device(comm().device()));
}

TEST(Graph, CapturesNowAndRunsAtReplay) {
  torch::Tensor x = zeros();
  const auto graph = test::capture()([&] { x.add_(torch::ones_like(x)); });
  EXPECT_EQ(x.sum().item<float>(), 0);
  for (int i = 0; i < 3; ++i) graph->replay();
  EXPECT_TRUE(x.eq(3).all().item<bool>());
  x.fill_(10);
  graph->replay();
  EXPECT_TRUE(x.eq(11).all().item<bool>());
}

TEST(Graph, HoldsACollective) {
  torch::Tensor x = zeros();
  comm().all_reduce(x);  // connects
  const auto graph = test::capture()([&] {
    x.add_(1);
    comm().all_reduce(x);
  });
  graph->replay();
  EXPECT_TRUE(x.eq(comm().size()).all().item<bool>());
}

TEST(Graph, AFailedCaptureLeavesTheDeviceAsItWas) {
  if (test::rehearsal()) GTEST_SKIP() << "a CPU captures everything";
  torch::Tensor x = zeros();
  for (int i = 0; i < 2; ++i)
    EXPECT_ANY_THROW(test::capture()([&] { x.add_(x.sum().item<float>() + 1); })) << "the host waits";
  EXPECT_THROW(test::capture()([&] {
                 x.add_(1);
                 throw std::runtime_error("work fails");
               }),
               std::runtime_error);
  EXPECT_EQ(x.sum().item<float>(), 0);
  const auto graph = test::capture()([&] { x.add_(torch::ones_like(x)); });
  graph->replay();
  EXPECT_TRUE(x.eq(1).all().item<bool>());
}

class SystemGraphs : public testing::TestWithParam<std::string> {};

// Float64, and atomic sums of the device may come in any order: within 1e-10, and it is said whether bit for
// bit.
TEST_P(SystemGraphs, TrainAsWithout) {
  const auto run = test::small_run(GetParam(), {"precision=float64"});
  size_t captured = 0;
  const Capture counting = [&](const std::function<void()>& work) {
    auto graph = test::capture()(work);
    ++captured;
    return graph;
  };
  const auto data = test::images(50);
  Trainer plain(*run, comm(), data), graphs(*run, comm(), data, counting);
  for (int i = 0; i < 2; ++i) {
    test::advance(plain, 5);
    test::advance(graphs, 5);
    const State a = test::state_of(graphs), b = test::state_of(plain);
    test::expect_near(a, b, 1e-10);
    if (comm().rank() == 0 && i > 0)
      std::cout << "graphs: " << GetParam() << (test::equal(a, b) ? ": bit for bit\n" : ": within 1e-10\n");
    const auto ours = graphs.stats().tick(comm()), theirs = plain.stats().tick(comm());
    ASSERT_EQ(ours.size(), theirs.size());
    for (size_t m = 0; m < ours.size(); ++m) {
      EXPECT_EQ(ours[m].count, theirs[m].count) << ours[m].name;
      EXPECT_NEAR(ours[m].mean, theirs[m].mean, 1e-9) << ours[m].name;
    }
  }
  EXPECT_EQ(captured, graphs.system().phases().size()) << "a phase runs without a graph";
}

TEST_P(SystemGraphs, TrainInPartsWithALossScale) {
  const auto run = test::small_run(
      GetParam(), {"precision=float16", "accumulate=2", "clip=1", "channels_last=true", "cuda_graphs=true"});
  Trainer trainer(*run, comm(), test::images(50));
  test::advance(trainer, 8);
  for (const auto& [name, tensor] : test::state_of(trainer).tensors)
    EXPECT_TRUE(!tensor.is_floating_point() || tensor.isfinite().all().item<bool>()) << name;
}

INSTANTIATE_TEST_SUITE_P(Graph, SystemGraphs, testing::ValuesIn(test::system_names()), test::test_name);

}  // namespace
}  // namespace saddle
