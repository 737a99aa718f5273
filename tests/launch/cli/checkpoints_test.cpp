// Checkpoints as users keep, list and lose them.
#include <fstream>
#include <set>

#include "dist/file.h"
#include "tests/launch/cli/cli.h"
#include "tests/support/small_disk.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Cli;
using test::Result;
using test::saddle;
using testing::AllOf;
using testing::HasSubstr;

TEST_F(Cli, CheckpointsMadeBesideTheStepsAreThoseMadeBetweenThem) {
  const std::string more =
      "--steps 30 --set checkpoint.every=7 --set checkpoint.keep=9 --set checkpoint.async=";
  for (const int ranks : {1, 2}) {
    expect_ok(saddle(train(fmt::format("beside{}", ranks), more + "true"), ranks));
    expect_ok(saddle(train(fmt::format("between{}", ranks), more + "false"), ranks));
    for (const int64_t step : {7, 14, 21, 28, 30}) {
      const auto a = weights(fmt::format("beside{}", ranks), step),
                 b = weights(fmt::format("between{}", ranks), step);
      ASSERT_FALSE(a.empty());
      ASSERT_EQ(a.size(), b.size());
      for (const auto& [name, tensor] : a) EXPECT_TRUE(torch::equal(tensor, b.at(name))) << name;
    }
    std::vector<int64_t> logged;
    for (const json& line : log_of(fmt::format("beside{}", ranks)))
      for (const json& saved : line.value("checkpoints", json::array())) {
        logged.push_back(saved["step"]);
        EXPECT_FALSE(saved["failed"]);
      }
    // The last one comes after the last line, and that of step 28 may.
    logged.resize(3);
    EXPECT_EQ(logged, (std::vector<int64_t>{7, 14, 21}));
  }
}

// By a metric that is measured while training, on any number of ranks, and again after a resume.
TEST_F(Cli, TheBestCheckpointIsKeptByAMetric) {
  const std::string sets =
      " --set checkpoint.every=10 --set checkpoint.keep=2 --set metrics.every=10 --set metrics.names=modes "
      "--set "
      "metrics.samples=101 --set checkpoint.best=metrics/modes";
  std::map<int64_t, double> measured;
  for (const int ranks : {1, 2, 4}) {
    const std::string run = fmt::format("run{}", ranks);
    expect_ok(saddle(train(run, "--steps 20" + sets), ranks));
    expect_ok(saddle(train(run, "--steps 40 --resume" + sets), ranks));
    std::map<int64_t, double> found;
    double seconds = 0;
    for (const json& line : log_of(run)) {
      if (line.contains("metrics")) found[line["step"]] = line["metrics"].at("mode_quality");
      seconds += line.value("metrics_seconds", 0.0);
    }
    EXPECT_EQ(found.size(), 4u);
    EXPECT_GT(seconds, 0);
    if (ranks == 1) measured = found;
    for (const auto& [step, value] : found) EXPECT_NEAR(value, measured.at(step), 0.05) << ranks;
    const json listed =
        json::parse(saddle("checkpoints --json " + dir_ + run).output).at(0).at("checkpoints");
    const auto best = std::max_element(found.begin(), found.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    for (const json& each : listed) {
      if (!each.at("best")) continue;
      EXPECT_EQ(found.at(each.at("step")), best->second) << each.dump();
    }
  }
  // Measuring changes nothing of the training, and a resume may leave it out.
  expect_ok(saddle(train("plain", "--steps 40")));
  const auto with = weights("run1", 40), without = weights("plain", 40);
  ASSERT_FALSE(with.empty());
  for (const auto& [name, tensor] : with) EXPECT_TRUE(torch::equal(tensor, without.at(name))) << name;
  expect_ok(saddle(train("run1", "--steps 45 --resume")));
  expect_error(saddle(train("no", "--dry-run" + sets + " --set metrics.names=fd")), 64,
               "metric fd needs a system that draws images");
  expect_error(saddle(train("no", "--dry-run" + sets + " --set metrics.names=mode")), 64, "no metric 'mode'");
  expect_error(saddle(train("no", "--dry-run" + sets + " --set checkpoint.every=15")), 64,
               "multiple of metrics.every = 10");
  expect_error(saddle(train("no", "--dry-run" + sets + " --set checkpoint.best=metrics/fd")), 64,
               "is not measured; there are metrics/modes");
  expect_error(saddle(train("no", "--dry-run" + sets + " --set checkpoint.best_is=lowest")), 64,
               "is the wrong way round for metrics/modes");
  expect_error(saddle(train("no", "--dry-run --set checkpoint.best=metrics/modes")), 64,
               "with metrics.every");
}

TEST_F(Cli, TheBestCheckpointIsKept) {
  expect_ok(
      saddle(train("run",
                   "--steps 60 --set checkpoint.every=5 --set checkpoint.keep=1 --set checkpoint.best=loss/G "
                   "--set checkpoint.best_is=highest"),
             2));
  double best = -1e9;
  int64_t best_step = 0;
  for (const json& line : log_of("run"))
    if (line["loss/G"] >= best) best = line["loss/G"], best_step = line["step"];
  std::set<std::string> kept;
  for (const auto& entry : fs::directory_iterator(dir_ + "run/checkpoints"))
    kept.insert(entry.path().filename());
  EXPECT_EQ(kept, (std::set<std::string>{fmt::format("step-{:010}", best_step), "step-0000000060"}));
  const std::string run = dir_ + "run";
  EXPECT_THAT(saddle("checkpoints " + run).output, HasSubstr(fmt::format("{:.4g}", best)));
  const json listed = json::parse(saddle("checkpoints --json " + run).output).at(0).at("checkpoints");
  for (const json& each : listed) EXPECT_EQ(each.at("best"), each.at("step") == best_step) << each.at("step");
  for (const int ranks : {0, 2}) {
    for (const char* file : {"s.png", "s.safetensors"})
      EXPECT_THAT(
          saddle(fmt::format("sample {} --step best --n 8 --out {}{}", run, dir_, file), ranks).output,
          HasSubstr(fmt::format("at step {},", best_step)));
    EXPECT_EQ(
        json::parse(saddle(fmt::format("evaluate {} --step {} 2>/dev/null", run, best_step), ranks).output)
            .at("step"),
        best_step);
    expect_error(saddle(fmt::format("sample {} --step 7", run), ranks), 65,
                 fmt::format("there are steps {}, 60", best_step));
    EXPECT_THAT(
        saddle(train(fmt::format("from{}", ranks), "--steps 2 --init-from-step best --init-from " + run),
               ranks)
            .output,
        HasSubstr("tensors taken"));
  }
  EXPECT_THAT(
      saddle(fmt::format("export {} --step best --to safetensors --out {}g.safetensors", run, dir_)).output,
      HasSubstr(fmt::format("at step {},", best_step)));
  EXPECT_THAT(saddle(fmt::format("checkpoints {} --step best", run)).output,
              HasSubstr(fmt::format("step-{:010}", best_step)));
  EXPECT_EQ(saddle(fmt::format("sample {} --step newest", run)).status, 64);
  expect_error(saddle(fmt::format("sample {}from0 --step best", dir_)), 65, "checkpoint.best=");
}

TEST_F(Cli, CheckpointsAreListedVerifiedAndShown) {
  expect_error(saddle("checkpoints " + dir_ + "run"), 64, "--out");
  expect_ok(saddle(train("run", "--steps 30 --set checkpoint.every=10"), 2));
  const std::string list = "checkpoints " + dir_ + "run";
  expect_ok(saddle(list + " --verify"));
  const Result shown = saddle(list + " --step 20");
  expect_ok(shown);
  EXPECT_THAT(shown.output,
              AllOf(HasSubstr("G.main.0.weight"), HasSubstr("g.width"), HasSubstr("loader.position")));
  expect_error(saddle(list + " --step 21"), 65, "step 21");

  const std::string file = test::checkpoint_folder(dir_ + "run", 30) + "/state-00001-of-00002.safetensors";
  std::string bytes = read_file(file);
  bytes.back() ^= 1;
  write_file(file, bytes);
  expect_ok(saddle(list));  // sizes are right
  const Result verified = saddle(list + " --verify --json");
  EXPECT_EQ(verified.status, 65);
  const json run = json::parse(verified.output).at(0);
  EXPECT_EQ(run.at("resumes_from"), 20);
  EXPECT_EQ(run["checkpoints"].size(), 3U);
  EXPECT_EQ(run["checkpoints"][0]["state"], "whole");
  EXPECT_EQ(run["checkpoints"][0]["world_size"], 2);
  EXPECT_EQ(run["checkpoints"][2]["state"], "damaged");
  EXPECT_THAT(run["checkpoints"][2]["damage"].get<std::string>(), HasSubstr("checksum differs"));
}

TEST_F(Cli, OnAFullDiskTrainingGoesOnAndTheStatusTells) {
  if (!test::can_mount()) GTEST_SKIP() << "only root mounts a small disk";
  const test::SmallDisk disk(dir_ + "run/checkpoints", "64k");
  const std::string big = " --set g.width=96 --set d.width=96";  // some 200 KiB
  const Result result = saddle(train("run", "--steps 30 --set checkpoint.every=10" + big), 2);
  EXPECT_EQ(result.status, 74) << result.output;
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("No space left"), HasSubstr("step 30/30"), HasSubstr("is not saved")));
  EXPECT_EQ(log_of("run").size(), 6U);
  expect_error(
      saddle(
          train("run", "--resume --steps 30 --set checkpoint.on_error=stop --set checkpoint.every=10" + big),
          2),
      74, "could not be saved");
  // A small net's fit, one at a time; then another job fills the disk.
  fs::remove_all(dir_ + "run/samples");
  fs::remove(dir_ + "run/options.toml");
  expect_ok(saddle(train("run", "--steps 10 --set checkpoint.keep=1"), 2));
  std::ofstream(dir_ + "run/checkpoints/other") << std::string(50 << 10, 'x');
  EXPECT_EQ(saddle(train("run", "--steps 30 --resume --set checkpoint.every=10"), 2).status, 74);
  fs::remove(dir_ + "run/checkpoints/other");
  const Result again = saddle(train("run", "--steps 30 --resume --set checkpoint.keep=1"), 2);
  expect_ok(again);
  EXPECT_THAT(again.output, HasSubstr("at step 10"));
}

}  // namespace
}  // namespace saddle
