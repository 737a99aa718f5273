// The program as users start it: plainly and under mpirun. Each command is a process of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "data/picture.h"
#include "dist/file.h"
#include "tests/launch/checkpoint_files.h"
#include "tests/support/shell.h"
#include "tests/support/small_disk.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Result;
using test::shell;
using testing::AllOf;
using testing::HasSubstr;

Result saddle(const std::string& arguments, int ranks = 0) {
  return shell(test::on_ranks(ranks) + "timeout 120 " SADDLE_BINARY " " + arguments);
}

class Cli : public testing::Test {
 protected:
  std::string dir_ = testing::TempDir() + "saddle_cli_" + std::to_string(::getpid()) + "/";

  void SetUp() override {
    fs::create_directories(dir_);
    expect_ok(saddle("pack ring8 --samples 2000 --seed 1 --out " + dir_ + "ring"));
  }
  void TearDown() override { fs::remove_all(dir_); }

  static void expect_ok(const Result& result) { ASSERT_EQ(result.status, 0) << result.output; }
  // One clear error: the status, and a line that holds `text`.
  static void expect_error(const Result& result, int status, const std::string& text) {
    EXPECT_EQ(result.status, status) << result.output;
    EXPECT_THAT(result.output, HasSubstr(text));
    const size_t first = result.output.find("saddle: ");
    ASSERT_NE(first, std::string::npos) << result.output;
    EXPECT_EQ(result.output.find("saddle: ", first + 1), std::string::npos) << "more than one error:\n"
                                                                            << result.output;
  }

  std::string train(const std::string& out, const std::string& more = "",
                    const std::string& recipe = "gan-ns") const {
    return fmt::format(
        "train {} --data {}ring --out {}{} --set batch=16 --set g.width=8 --set d.width=8 --set tick.every=5 "
        "{}",
        recipe, dir_, dir_, out, more);
  }
  std::vector<json> log_of(const std::string& out) const {
    std::vector<json> lines;
    std::ifstream in(dir_ + out + "/log.jsonl");
    for (std::string line; std::getline(in, line);) lines.push_back(json::parse(line));
    return lines;
  }
  std::map<std::string, torch::Tensor> weights(const std::string& out, int64_t step) const {
    return test::checkpoint_tensors(dir_ + out, step);
  }
};

TEST_F(Cli, OneTwoAndFourRanksLogTheSameLosses) {
  for (const int ranks : {1, 2, 4})
    expect_ok(saddle(train(fmt::format("run{}", ranks), "--steps 20 --set precision=float64"), ranks));
  const auto one = log_of("run1");
  ASSERT_EQ(one.size(), 4U);
  for (const int ranks : {2, 4}) {
    const auto many = log_of(fmt::format("run{}", ranks));
    ASSERT_EQ(many.size(), one.size());
    for (size_t i = 0; i < one.size(); ++i)
      for (const char* key : {"loss/D", "loss/G"})
        EXPECT_NEAR(many[i][key].get<double>(), one[i][key].get<double>(), 1e-10)
            << ranks << " ranks, " << key;
  }
}

TEST_F(Cli, StoppedAndResumedIsBitForBitTheStraightRun) {
  expect_ok(saddle(train("straight", "--steps 60 --set checkpoint.every=30"), 2));
  expect_ok(saddle(train("halves", "--steps 30"), 2));
  expect_ok(saddle(train("halves", "--steps 60 --set checkpoint.every=30 --resume"), 2));
  const auto a = weights("straight", 60), b = weights("halves", 60);
  ASSERT_FALSE(a.empty());
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) EXPECT_TRUE(torch::equal(tensor, b.at(name))) << name;
  const auto straight = log_of("straight"), halves = log_of("halves");
  ASSERT_EQ(straight.size(), halves.size());
  for (size_t i = 0; i < straight.size(); ++i) EXPECT_EQ(straight[i]["loss/D"], halves[i]["loss/D"]);
  expect_ok(saddle(train("halves", "--steps 70 --resume"), 1));  // and on, on another number of ranks
}

TEST_F(Cli, ARunHasOptionsLogPicturesAndCheckpointsAndItsOptionsAreARecipe) {
  expect_ok(saddle(train("run", "--steps 20")));
  EXPECT_TRUE(fs::exists(dir_ + "run/samples/step-000020.png"));
  EXPECT_TRUE(fs::exists(dir_ + "run/checkpoints/step-0000000020/manifest.json"));
  expect_ok(saddle(fmt::format("train {}run/options.toml --out {}again", dir_, dir_)));
  EXPECT_EQ(read_file(dir_ + "run/options.toml"), read_file(dir_ + "again/options.toml"));
  EXPECT_EQ(log_of("run").back()["loss/D"], log_of("again").back()["loss/D"]);
  expect_ok(saddle(fmt::format("sample {}run --n 100 --out {}s.png", dir_, dir_)));
  EXPECT_EQ(read_picture(dir_ + "s.png", 3).dim(), 3);
  const Result finished = saddle(fmt::format("train --out {}run --resume", dir_));
  EXPECT_EQ(finished.status, 0);
  EXPECT_THAT(finished.output, HasSubstr("nothing to do"));
}

TEST_F(Cli, DryRunPrintsEveryKeyAndStartsNothing) {
  const Result result = saddle("train dcgan --dry-run");
  expect_ok(result);
  for (const char* key : {"batch", "checkpoint.keep", "g.lr", "loss"})
    EXPECT_THAT(result.output, HasSubstr(key));
}

TEST_F(Cli, ListsAndVersions) {
  EXPECT_THAT(saddle("list systems").output, HasSubstr("wgan-gp"));
  EXPECT_THAT(saddle("list losses").output, HasSubstr("non-saturating"));
  EXPECT_THAT(saddle("list recipes").output, HasSubstr("dcgan"));
  EXPECT_THAT(saddle("--version").output,
              testing::AllOf(HasSubstr("LibTorch"), HasSubstr("NCCL"), HasSubstr("MPI"), HasSubstr("HDF5")));
}

TEST_F(Cli, BadUsageIsOneErrorOnTwoRanksToo) {
  for (const int ranks : {0, 2}) {
    expect_error(saddle("train gan-ns --data /nowhere --out " + dir_ + "x", ranks), 65, "/nowhere");
    expect_error(saddle(train("x", "", "dcgna"), ranks), 64, "did you mean 'dcgan'");
    expect_error(saddle(train("x", "--set btach=3"), ranks), 64, "did you mean 'batch'");
    expect_error(saddle(train("x", "--set n_critic=3"), ranks), 64, "unknown key 'n_critic'");
    expect_error(saddle(train("x", "--set batch=0"), ranks), 64, "1 to");
    expect_error(saddle(train("x", "", "dcgan"), ranks), 65, "image");
    expect_error(saddle(fmt::format("train gan-ns --data {}ring --out /proc/nowhere/x", dir_), ranks), 74,
                 "/proc/nowhere");
    expect_error(saddle("sample " + dir_ + "nothing", ranks), 64, "holds no run");
  }
  expect_error(saddle(train("x", "--set batch=15 --set accumulate=2"), 2), 64, "does not divide");
}

TEST_F(Cli, DamagedShardsAreNamed) {
  const std::string shard = dir_ + "ring/shard-00000.h5";
  const std::string whole = read_file(shard);
  std::string flipped = whole;
  flipped[whole.size() / 2] ^= 4;
  write_file(shard, flipped);
  const Result check = saddle("check " + dir_ + "ring");
  EXPECT_EQ(check.status, 65);
  EXPECT_THAT(check.output, HasSubstr("shard-00000.h5: field x of sample"));
  EXPECT_EQ(saddle(train("x", "--steps 200"), 2).status, 65);
  write_file(shard, whole.substr(0, whole.size() / 2));
  expect_error(saddle(train("y"), 2), 65, "shard-00000.h5");
  write_file(shard, whole);
  expect_ok(saddle("check " + dir_ + "ring"));
}

TEST_F(Cli, TheSameSourcePackedInAnotherWayIsNotAlreadyPacked) {
  fs::create_directories(dir_ + "shades");
  for (const char* name : {"1", "2"})
    write_png(fmt::format("{}shades/{}.png", dir_, name), torch::full({3, 6, 9}, name[0], torch::kByte));
  const auto pack = [&](const std::string& flags) {
    return saddle(fmt::format("pack {0}shades --out {0}resized --size 4x4 {1}", dir_, flags));
  };
  expect_ok(pack("--filter box"));
  EXPECT_THAT(pack("--filter box").output, HasSubstr("already packed"));
  expect_error(pack("--filter lanczos"), 64, "packed in another way");
  expect_error(pack("--filter box --crop none"), 64, "packed in another way");
}

TEST_F(Cli, UnpackGivesBackWhatWasPacked) {
  fs::create_directories(dir_ + "pictures/a"), fs::create_directories(dir_ + "pictures/b");
  for (const char* name : {"a/1", "a/2", "b/1"})
    write_png(fmt::format("{}pictures/{}.png", dir_, name),
              torch::full({3, 6, 9}, name[2] * 2, torch::kByte));
  expect_ok(saddle(fmt::format("pack {0}pictures --out {0}packed", dir_)));
  expect_ok(saddle(fmt::format("unpack {0}packed --to {0}packed.zip", dir_), 2));
  expect_ok(saddle(fmt::format("unpack {0}packed --to {0}again", dir_)));
  EXPECT_TRUE(
      read_picture(dir_ + "again/b/img00000002.png", 3).equal(read_picture(dir_ + "pictures/b/1.png", 3)));
  expect_ok(saddle(fmt::format("pack {0}packed.zip --out {0}zipped", dir_)));
  const auto found = saddle(fmt::format("check {0}zipped", dir_));
  EXPECT_THAT(found.output,
              AllOf(HasSubstr("image  uint8  [3, 6, 9]"), HasSubstr("samples of 2 classes of label")));
  expect_error(saddle(fmt::format("unpack {0}packed --to {0}packed.zip", dir_)), 64, "exists");
  expect_error(saddle(fmt::format("unpack {0}ring --to {0}ring.zip", dir_)), 64, "x float32 [2]");
}

TEST_F(Cli, DamageIsReplacedWithOnBadSkipOnAnyNumberOfRanks) {
  expect_ok(saddle("pack ring8 --samples 200000 --seed 1 --shard-mib 1 --out " + dir_ + "many"));
  const auto start = [&](const std::string& out, const std::string& more) {
    return fmt::format(
        "train gan-ns --data {0}many --out {0}{1} --set steps=30 --set batch=64 --set g.width=8 "
        "--set d.width=8 --set tick.every=10 --set precision=float64 {2}",
        dir_, out, more);
  };
  expect_ok(saddle(start("begun", "--set steps=10")));
  fs::remove(dir_ + "many/shard-00001.h5");
  expect_ok(saddle(fmt::format("train --out {}begun --resume --steps 20 --on-bad skip", dir_)));  // goes on
  expect_error(saddle(start("stop", ""), 2), 65, "shard-00001.h5");
  for (const int ranks : {1, 2}) {
    const Result run = saddle(start(fmt::format("skip{}", ranks), "--on-bad skip"), ranks);
    expect_ok(run);
    EXPECT_THAT(run.output, HasSubstr("shard-00001.h5"));
    EXPECT_THAT(run.output, HasSubstr("damaged samples replaced"));
  }
  const auto one = log_of("skip1"), two = log_of("skip2");
  ASSERT_EQ(two.size(), 3U);
  for (size_t i = 0; i < two.size(); ++i) {
    EXPECT_GT(one[i]["substituted"].get<int64_t>(), 0);
    EXPECT_EQ(one[i]["substituted"], two[i]["substituted"]);
    EXPECT_NEAR(one[i]["loss/D"].get<double>(), two[i]["loss/D"].get<double>(), 1e-10);
  }
  for (const auto& entry : fs::directory_iterator(dir_ + "many"))
    if (entry.path().extension() == ".h5") fs::remove(entry.path());
  expect_error(saddle(start("none", "--on-bad skip"), 2), 65, "no shard can be read");
}

TEST_F(Cli, StagesTheDataAndFindsTheCopyAgain) {
  const std::string staged = dir_ + "staged";
  expect_ok(saddle(train("plain", "--steps 20"), 2));
  expect_ok(saddle(train("run", "--steps 20 --stage " + staged), 2));
  ASSERT_EQ(std::distance(fs::directory_iterator(staged), {}), 1);
  const std::string copy = fs::directory_iterator(staged)->path().string();
  expect_ok(saddle("check " + copy));
  const auto made = fs::last_write_time(copy + "/shard-00000.h5");
  expect_ok(saddle(train("again", "--steps 20 --stage " + staged), 1));
  EXPECT_EQ(fs::last_write_time(copy + "/shard-00000.h5"), made);
  EXPECT_EQ(log_of("plain").back()["loss/D"], log_of("run").back()["loss/D"]);
  expect_error(saddle(train("x", "--stage /proc/nowhere"), 2), 74, "/proc/nowhere");
  write_file(dir_ + "ring/shard-00000.h5", read_file(dir_ + "ring/shard-00000.h5").replace(9000, 4, "abcd"));
  fs::remove_all(staged);
  expect_error(saddle(train("y", "--stage " + staged), 2), 65, "shard-00000.h5");
}

TEST_F(Cli, OrdersAndTransformsAreOptions) {
  for (const char* order : {"local", "sequential"})
    expect_ok(saddle(train(order, fmt::format("--steps 10 --set data.order={} --set data.cache=memory --set "
                                              "loader.threads=2 --set data.window=100",
                                              order))));
  EXPECT_NE(log_of("local").back()["loss/D"], log_of("sequential").back()["loss/D"]);
  expect_error(saddle(train("x", "--set data.order=balanced")), 65, "label");
  expect_error(saddle(train("x", "--set data.weights=1,2")), 64, "data.order");
  expect_error(saddle(train("x", "--set data.mirror=true"), 2), 64, "pictures");
  expect_error(saddle(train("x", "--set data.crop=8x"), 2), 64, "HEIGHTxWIDTH");
  expect_error(saddle(train("x", "--set data.crop=8"), 2), 64, "pictures");  // 8x8 of points
}

TEST_F(Cli, SeveralDataSetsNeedNames) {
  const std::string two = fmt::format("train gan-ns --out {0}x --data {0}ring --data {0}ring", dir_);
  expect_error(saddle(two), 64, "need names");
  expect_error(saddle(fmt::format("train gan-ns --out {0}x --data a={0}ring --data a={0}ring", dir_)), 64,
               "two data sets are called a");
  expect_ok(saddle("pack ring8 --samples 300 --seed 2 --out " + dir_ + "other"));
  const auto start = [&](const std::string& out, const std::string& more) {
    return fmt::format(
        "train gan-ns --data a={0}ring --data b={0}other --out {0}{1} --set batch=16 --set "
        "g.width=8 --set d.width=8 --set precision=float64 --set tick.every=5 {2}",
        dir_, out, more);
  };
  expect_ok(saddle(start("one", "--steps 30")));
  expect_ok(saddle(start("two", "--steps 15"), 2));
  expect_ok(saddle(start("two", "--steps 30 --resume"), 2));  // epochs of 300 and of 2000 samples
  EXPECT_NEAR(log_of("one").back()["loss/D"].get<double>(), log_of("two").back()["loss/D"].get<double>(),
              1e-9);
  EXPECT_TRUE(fs::exists(dir_ + "one/samples/step-000030.png"));
  expect_ok(saddle(fmt::format("sample {0}one --n 100 --out {0}s.png", dir_)));
  expect_ok(saddle(fmt::format("doctor --quick --data a={0}ring,b={0}other --recipe gan-ns", dir_)));
  expect_error(saddle(fmt::format("train --data {0}ring --out {0}one --resume --steps 40", dir_)), 64,
               "fingerprint of the data set");
}

TEST_F(Cli, OptionsOfOlderRunsStillNameTheirData) {
  expect_ok(saddle(train("run", "--steps 10")));
  std::string options = read_file(dir_ + "run/options.toml"), old;
  std::istringstream in(options);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("data.folder"))
      old += "data" + line.substr(line.find(' ')) + "\n";
    else if (!line.starts_with("data."))
      old += line + "\n";
  write_file(dir_ + "old.toml", old);
  expect_ok(saddle(fmt::format("train {0}old.toml --out {0}again", dir_)));
  EXPECT_EQ(log_of("run").back()["loss/D"], log_of("again").back()["loss/D"]);
}

TEST_F(Cli, AFolderWithARunNeedsResumeAndTheSameOptions) {
  expect_ok(saddle(train("run", "--steps 10"), 2));
  expect_error(saddle(train("run", "--steps 20"), 2), 64, "--resume");
  expect_error(saddle(train("run", "--steps 20 --resume", "gan"), 2), 64,
               "system: 'gan-ns' in the checkpoint, 'gan' now");
  expect_error(saddle(train("run", "--steps 20 --resume --set g.lr=0.1"), 2), 64, "g.lr");
  expect_ok(saddle("pack ring8 --samples 2000 --seed 2 --out " + dir_ + "other"));
  expect_error(saddle(fmt::format("train --data {}other --out {}run --steps 20 --resume", dir_, dir_), 2), 64,
               "fingerprint of the data set");
  // By force it goes on, and its checkpoints tell.
  const Result forced = saddle(train("run", "--steps 12 --resume --force --set g.lr=0.1"), 2);
  expect_ok(forced);
  EXPECT_THAT(forced.output, HasSubstr("g.lr: "));
  expect_ok(saddle(train("run", "--steps 14 --resume --set g.lr=0.1"), 2));
  const json about =
      json::parse(read_file(dir_ + "run/checkpoints/step-0000000014/manifest.json")).at("about");
  ASSERT_EQ(about.at("forced").size(), 1U);
  EXPECT_EQ(about["forced"][0]["step"], 10);
  EXPECT_THAT(about["forced"][0]["differences"][0].get<std::string>(), HasSubstr("g.lr: "));
}

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
  expect_error(saddle(train("other", "--steps 10 --set checkpoint.best=loss/X"), 2), 64, "loss/D, loss/G");
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

TEST_F(Cli, TheSameCommandResumesWhateverItSets) {
  const std::string sets = " --set tournament.every=7 --set checkpoint.milestones=2 --set clip=3";
  expect_ok(saddle(train("run", "--steps 5" + sets)));
  expect_ok(saddle(train("run", "--steps 10 --resume" + sets)));
}

TEST_F(Cli, EvaluationDoesNotDependOnTheNumberOfRanks) {
  expect_ok(
      saddle("train gan-ns --data " + dir_ + "ring --out " + dir_ + "run --steps 5 --set sample.every=0"));
  const Result alone = saddle("evaluate " + dir_ + "run --n 101");
  expect_ok(alone);
  for (const int ranks : {2, 4}) {  // of which none divides 101
    const Result together = saddle("evaluate " + dir_ + "run --n 101 2>/dev/null", ranks);
    EXPECT_EQ(together.output, alone.output);
  }
}

TEST_F(Cli, ATraceHoldsAllRanks) {
  expect_ok(saddle("train gan-ns --data " + dir_ + "ring --out " + dir_ +
                       "run --steps 6 --set sample.every=0 --trace steps=2:4",
                   2));
  const std::string trace = read_file(dir_ + "run/trace.json");
  for (const char* part : {"rank 0", "rank 1", "D forward", "D backward", "d bucket 0", "read batch"})
    EXPECT_THAT(trace, HasSubstr(part));
  expect_error(saddle("train gan-ns --data " + dir_ + "ring --out " + dir_ + "other --trace 3"), 64,
               "--trace expects steps=FROM:UNTIL");
}

TEST_F(Cli, FlightNamesTheRankThatDidNotEnterACollective) {
  const auto line = [](int number, const char* name, const char* more) {
    return fmt::format(
        "{{\"number\":{},\"name\":\"{}\",\"bytes\":4,\"step\":12,\"doing\":\"D wait\",\"entered\":-3.5{}}}\n",
        number, name, more);
  };
  const std::string left = ",\"left\":-3.4";
  write_file(dir_ + "flight-0000.jsonl", line(6, "g bucket 0", left.c_str()) + line(7, "d bucket 0", ""));
  write_file(dir_ + "flight-0001.jsonl", line(6, "g bucket 0", left.c_str()));
  const Result result = saddle("flight " + dir_);
  expect_ok(result);
  EXPECT_THAT(result.output,
              HasSubstr("rank 1 never entered d bucket 0 (#7, step 12, D wait), which rank 0 did"));
  write_file(dir_ + "flight-0003.jsonl", line(7, "d bucket 0", ""));
  EXPECT_THAT(saddle("flight " + dir_).output, HasSubstr("rank 2 left no record"));
  expect_error(saddle("flight " + dir_ + "ring"), 64, "no flight records");
}

}  // namespace
}  // namespace saddle
