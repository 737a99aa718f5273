// The arithmetic of `saddle bench`, by closed forms; and the commands as users start them.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "dist/error.h"
#include "dist/file.h"
#include "launch/bench/comm.h"
#include "launch/bench/network.h"
#include "launch/bench/scale.h"
#include "launch/bench/simulate.h"
#include "launch/bench/step.h"
#include "tests/support/shell.h"

namespace saddle::bench {
namespace {

using nlohmann::json;

const auto kFree = [](int64_t) { return 0.0; };
const auto kSecondAByte = [](int64_t bytes) { return static_cast<double>(bytes); };

TEST(Simulate, FreeCommunicationIsFullyEfficient) {
  const Workload work{{{.seconds = 3, .entries = {{1, 100, true}, {2, 100, false}}}}};
  const Prediction p = simulate(work, 64, kFree);
  EXPECT_EQ(p.step, 3);
  EXPECT_EQ(p.efficiency(), 1);
}

TEST(Simulate, AReductionAtTheEndIsExposedWhole) {
  const Workload work{{{.seconds = 3, .entries = {{3, 5, true}}}}};
  EXPECT_EQ(simulate(work, 2, kSecondAByte).step, 8);
  EXPECT_EQ(simulate(work, 2, kSecondAByte).exposed, 5);
}

TEST(Simulate, AnEarlyReductionIsHiddenByTheComputeAfterIt) {
  const Workload work{{{.seconds = 10, .entries = {{2, 5, true}}}}};
  EXPECT_EQ(simulate(work, 2, kSecondAByte).exposed, 0);
  const Workload longer{{{.seconds = 10, .entries = {{2, 11, true}}}}};
  EXPECT_EQ(simulate(longer, 2, kSecondAByte).exposed, 3);
}

TEST(Simulate, OneChannelServesReductionsInOrder) {
  const Workload work{{{.seconds = 4, .entries = {{1, 5, true}, {2, 5, true}}}}};  // ends at 1 + 5 + 5
  EXPECT_EQ(simulate(work, 2, kSecondAByte).step, 11);
}

TEST(Simulate, ABlockingCollectiveDelaysWhatFollows) {
  // Blocked from 1 to 3; the reduction starts at 3 + 1 and ends at 8, three after the compute.
  const Workload work{{{.seconds = 3, .entries = {{1, 2, false}, {2, 4, true}}}}};
  EXPECT_EQ(simulate(work, 2, kSecondAByte).step, 8);
}

TEST(Simulate, APassEndsWithItsReductions) {
  const Workload work{{{.seconds = 1, .entries = {{1, 2, true}}}, {.seconds = 4, .entries = {}}}};
  EXPECT_EQ(simulate(work, 2, kSecondAByte).step, 7);
}

TEST(Simulate, TheSlowestOfManyRanksIsLate) {
  const Workload work{.passes = {{.seconds = 1, .entries = {}}}, .jitter = 0.1};
  EXPECT_EQ(simulate(work, 1, kFree).step, 1);
  EXPECT_NEAR(simulate(work, 64, kFree).step, 1 + 0.1 * std::sqrt(2 * std::log(64.0)), 1e-12);
}

TEST(Simulate, ScalingScalesAllCompute) {
  const Workload work{.passes = {{.seconds = 4, .entries = {{2, 3, true}}}}, .jitter = 0.5};
  const Workload half = work.scaled(0.5);
  EXPECT_EQ(half.compute(), 2);
  EXPECT_EQ(half.jitter, 0.25);
  EXPECT_EQ(simulate(half, 1, kSecondAByte).step, 4);  // enters at 1, takes 3
}

TEST(NetworkCost, ARingMovesTwiceTheBytesOverLargeMessages) {
  const Network net{
      .name = {}, .source = {}, .per_node = 8, .call = 0, .inside = {0, 1e9}, .between = {0, 1e9}};
  EXPECT_DOUBLE_EQ(net.all_reduce(8, 800'000'000), 2.0 * 7 / 8 * 0.8);
  EXPECT_EQ(net.all_reduce(1, 1 << 30), 0);
}

TEST(NetworkCost, ATreeServesSmallMessagesOnManyNodes) {
  const Network net{
      .name = {}, .source = {}, .per_node = 1, .call = 1e-6, .inside = {1e-5, 1e12}, .between = {1e-5, 1e12}};
  EXPECT_NEAR(net.all_reduce(1024, 4), 1e-6 + 2 * 10 * 1e-5, 1e-9);
}

TEST(NetworkCost, APresetIsReadBackFromItsFile) {
  const std::string path = testing::TempDir() + "saddle_net_" + std::to_string(::getpid()) + ".toml";
  for (const Network& net : networks()) {
    write_file(path, net.toml());
    for (const int ranks : {2, 8, 512})
      EXPECT_NEAR(find_network(path).all_reduce(ranks, 1 << 20) / net.all_reduce(ranks, 1 << 20), 1, 1e-5)
          << net.name;
  }
  std::remove(path.c_str());
}

TEST(NetworkCost, AnUnknownNetworkIsAUsageError) {
  try {
    find_network("h1000");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, Exit::usage);
    EXPECT_NE(std::string(e.what()).find("h100"), std::string::npos);
  }
}

Measured point(int64_t bytes, double seconds) {
  return {.collective = "all_reduce", .bytes = bytes, .seconds = seconds, .wrong = 0};
}

TEST(Fit, FindsTheLineThatMadeTheTimes) {
  std::vector<Measured> points;
  for (int64_t bytes = 1024; bytes <= 1 << 24; bytes *= 4) points.push_back(point(bytes, 3e-5 + bytes / 2e9));
  const Line line = fit(points);
  EXPECT_NEAR(line.latency, 3e-5, 1e-10);
  EXPECT_NEAR(line.bandwidth, 2e9, 1e4);
}

TEST(Fit, GivesNoNegativeLatency) {
  EXPECT_GE(fit({point(1000, 1e-6), point(2000, 3e-6), point(4000, 8e-6)}).latency, 0);
}

TEST(Fit, NeedsTwoSizes) {
  EXPECT_THROW(fit({point(1000, 1)}), Error);
}

TEST(BusBandwidth, CountsWhatALinkCarries) {
  EXPECT_DOUBLE_EQ(bus_factor("all_reduce", 4), 1.5);
  EXPECT_DOUBLE_EQ(bus_factor("all_gather", 4), 0.75);
  EXPECT_DOUBLE_EQ(bus_factor("broadcast", 4), 1);
  EXPECT_DOUBLE_EQ(point(1000, 0.5).bus_bandwidth(4), 3000);
}

trace::Event span(const std::string& name, double begin, double end,
                  trace::Lane lane = trace::Lane::compute) {
  return {lane, name, begin, end};
}

// One step: data, then a phase whose two buckets start within its backward pass, the second waited for
// until 9.
RecordedStep a_step() {
  const auto link = trace::Lane::communication;
  return {.begin = 0,
          .end = 10,
          .events = {span("data", 0, 1), span("D forward", 1, 3), span("d bucket 0", 5, 6, link),
                     span("D backward", 3, 8), span("d bucket 1", 7.5, 9, link), span("D wait", 8, 9),
                     span("D optimizer", 9, 9.5)},
          .collectives = {{"statistics", "D forward", 8, 1.5, 2},
                          {"d bucket 0", "D backward", 400, 4, 8.5},
                          {"d bucket 1", "D backward", 100, 7, 9}}};
}

TEST(Split, AccountsForEveryPartOfAStep) {
  const StepSplit s = split(a_step());
  const Split& d = s.phases.at("D");
  EXPECT_EQ(s.total, 10);
  EXPECT_EQ(s.data, 1);
  EXPECT_EQ(d.forward, 2);
  EXPECT_EQ(d.backward, 5);
  EXPECT_EQ(d.exposed, 1);
  EXPECT_EQ(d.optimizer, 0.5);
  EXPECT_EQ(s.other(), 0.5);
  EXPECT_EQ(s.blocked, 0.5);
  EXPECT_EQ(s.compute(), 8.5);
}

TEST(Split, CountsCommunicationFromTheCallToTheSum) {
  const Split d = split(a_step()).phases.at("D");
  EXPECT_EQ(d.communication, 4);  // 4 to 6 and 7 to 9
  EXPECT_EQ(d.hidden(), 0.75);
}

TEST(Split, TakesTheMedianOfEachPart) {
  StepSplit one, two, three;
  one.total = 1, two.total = 5, three.total = 3;
  one.phases["D"].forward = 4, two.phases["D"].forward = 2, three.phases["D"].forward = 9;
  const StepSplit m = median({one, two, three});
  EXPECT_EQ(m.total, 3);
  EXPECT_EQ(m.phases.at("D").forward, 4);
}

TEST(Workloads, TakeBlockedTimeOutAndCutAtTheWait) {
  const Workload work = workload(a_step());
  ASSERT_EQ(work.passes.size(), 2u);
  EXPECT_EQ(work.passes[0].seconds, 7.5);  // until 8, half a second of it blocked
  ASSERT_EQ(work.passes[0].entries.size(), 3u);
  EXPECT_EQ(work.passes[0].entries[0].at, 1.5);
  EXPECT_FALSE(work.passes[0].entries[0].overlaps);
  EXPECT_EQ(work.passes[0].entries[1].at, 3.5);
  EXPECT_EQ(work.passes[0].entries[2].at, 6.5);
  EXPECT_TRUE(work.passes[0].entries[2].overlaps);
  EXPECT_EQ(work.passes[1].seconds, 1);
}

TEST(Spread, IsTheDeviationOfANormalSample) {
  std::vector<double> values;
  for (int i = 0; i <= 100; ++i) values.push_back(i);
  EXPECT_EQ(spread(values), 34);
}

// What `saddle bench ... --json` prints on two ranks.
json bench(const std::string& arguments) {
  const test::Result result =
      test::shell("mpirun --oversubscribe --bind-to none -n 2 timeout 120 " SADDLE_BINARY " bench " +
                  arguments + " --json 2>/dev/null");
  EXPECT_EQ(result.status, 0) << result.output;
  return json::parse(result.output, nullptr, /*allow_exceptions=*/false);
}

TEST(BenchCommand, CommReportsEveryCollectiveWithoutWrongValues) {
  const json made =
      bench("comm --min 1KiB --max 4MiB --iterations 5");  // 4 MiB take longer than 1 KiB for sure
  ASSERT_EQ(made["rows"].size(), 21u) << made;
  for (const json& row : made["rows"]) EXPECT_EQ(row["wrong"], 0) << row;
  EXPECT_GT(made["all_reduce"]["GB_s"], 0);
}

TEST(BenchCommand, StepAccountsForTheWholeStepOnEveryRank) {
  const json made = bench("step dcgan --synthetic 1x28x28 --steps 3 --warm-up 2 --set batch=8");
  ASSERT_EQ(made["ranks"].size(), 2u) << made;
  for (const json& rank : made["ranks"]) {
    EXPECT_TRUE(rank["phases"].contains("D") && rank["phases"].contains("G")) << rank;
    for (const char* part : {"forward", "backward", "optimizer", "communication"})
      EXPECT_GT(rank["sum"][part], 0) << part;
    EXPECT_LT(rank["data"].get<double>() + rank["sum"]["forward"].get<double>(), rank["total"]);
  }
}

TEST(BenchCommand, ScalePredictsPowersOfTwoOfTheComputeAskedFor) {
  const json made = bench(
      "scale dcgan --synthetic 1x28x28 --steps 3 --warm-up 2 --set batch=8 --ranks 16 --net a100 "
      "--step-seconds 0.2");
  ASSERT_EQ(made["rows"].size(), 5u) << made;
  EXPECT_NEAR(made["rows"][0]["compute"], 0.2, 1e-9);
  for (size_t i = 1; i < 5; ++i) EXPECT_GE(made["rows"][i]["exposed"], made["rows"][i - 1]["exposed"]);
  EXPECT_GT(made["check"]["step"], 0);
}

}  // namespace
}  // namespace saddle::bench
