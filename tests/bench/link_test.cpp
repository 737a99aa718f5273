#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/emulated_link.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(EmulatedLink, HandsOverTheTrueSum) {
  const Comm comm = test::emulate(test::world().comm("cpu"), {.latency = 1e-4, .bandwidth = 1e9});
  const torch::Tensor x = torch::full({1000}, comm.rank() + 1, torch::kFloat);
  comm.all_reduce(x);
  EXPECT_TRUE(x.eq(comm.size() * (comm.size() + 1) / 2.0).all().item<bool>());
}

TEST(EmulatedLink, TakesItsLatencyAndItsBandwidth) {
  const Comm comm = test::emulate(test::world().comm("cpu"), {.latency = 0.02, .bandwidth = 1e6});
  const torch::Tensor x = torch::zeros({10000}, torch::kFloat);
  const double took = seconds([&] { comm.all_reduce(x); });
  EXPECT_GE(took, 0.06);
  EXPECT_LT(took, 0.5) << "beyond what a busy machine explains";
}

TEST(EmulatedLink, ServesOneCollectiveAtATimeWhileTheCallerGoesOn) {
  const Comm comm = test::emulate(test::world().comm("cpu"), {.latency = 0.03});
  const torch::Tensor x = torch::ones({1}, torch::kFloat), y = torch::ones({1}, torch::kFloat);
  comm.barrier();
  Wait first, second;
  double calls = 0;
  const double took = seconds([&] {
    calls = seconds([&] {
      first = comm.all_reduce_async(x);
      second = comm.all_reduce_async(y);
    });
    first();
    second();
  });
  EXPECT_LT(calls, 0.03);
  EXPECT_GE(took, 0.06);
}

}  // namespace
}  // namespace saddle
