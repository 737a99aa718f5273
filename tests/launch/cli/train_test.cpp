// Trainings as users start, stop and resume them.
#include <set>
#include <sstream>

#include "data/view/picture.h"
#include "dist/file.h"
#include "tests/launch/cli/cli.h"
#include "tests/launch/log_lines.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Cli;
using test::Result;
using test::saddle;
using testing::HasSubstr;

TEST_F(Cli, OneTwoAndFourRanksLogTheSameLosses) {
  for (const int ranks : {1, 2, 4})
    expect_ok(saddle(train(fmt::format("run{}", ranks), "--steps 20 --set precision=float64"), ranks));
  const auto one = log_of("run1");
  ASSERT_EQ(one.size(), 4U);
  for (const int ranks : {2, 4}) {
    const auto many = log_of(fmt::format("run{}", ranks));
    ASSERT_EQ(many.size(), one.size());
    for (size_t i = 0; i < one.size(); ++i)
      for (const char* key : {"loss/D", "loss/G", "D/real", "D/fake", "gradient/D", "gradient/G", "lr/d"})
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
  const auto straight = test::timeless_log(dir_ + "straight");
  EXPECT_EQ(straight.size(), 12U);
  EXPECT_EQ(straight, test::timeless_log(dir_ + "halves"));
  expect_ok(saddle(train("halves", "--steps 70 --resume"), 1));  // and on, on another number of ranks
}

TEST_F(Cli, ARunHasOptionsLogPicturesAndCheckpointsAndItsOptionsAreARecipe) {
  expect_ok(saddle(train("run", "--steps 20")));
  for (const char* picture : {"step-000000", "step-000020", "real"})
    EXPECT_TRUE(fs::exists(fmt::format("{}run/samples/{}.png", dir_, picture))) << picture;
  for (const json& line : log_of("run")) {
    EXPECT_GT(line.at("lr/g").get<double>(), 0);
    EXPECT_THAT(line.at("time").get<std::string>(), testing::MatchesRegex("20..-..-..T..:..:..\\....Z"));
    for (const char* key : {"D/real", "D/fake", "gradient/D", "gradient/G"})
      EXPECT_TRUE(line.contains(key)) << key;
  }
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

TEST_F(Cli, AWrongNameOfTheBestIsToldBeforeAnythingIsMade) {
  for (const int ranks : {0, 2}) {
    expect_error(saddle(train("other", "--steps 10 --set checkpoint.best=loss/X"), ranks), 64,
                 "D/real, D/fake, loss/D, gradient/D, loss/G, gradient/G");
    EXPECT_FALSE(fs::exists(dir_ + "other"));
  }
}

TEST_F(Cli, FewerStepsThanAreDoneChangeNothing) {
  const auto state_of = [&] {
    std::map<std::string, std::pair<std::string, fs::file_time_type>> files;
    for (const auto& entry : fs::recursive_directory_iterator(dir_ + "run"))
      files[entry.path()] = {entry.is_regular_file() ? read_file(entry.path()) : "", entry.last_write_time()};
    files.erase(dir_ + "run");  // in which the lock comes and goes
    return files;
  };
  expect_ok(saddle(train("run", "--steps 20 --set checkpoint.every=10")));
  const auto before = state_of();
  for (const int ranks : {0, 2})
    for (const char* more : {"--steps 10 --resume", "--steps 20 --resume --set tick.every=7"}) {
      const Result result = saddle(train("run", more), ranks);
      expect_ok(result);
      EXPECT_THAT(result.output, HasSubstr("already at step 20"));
      EXPECT_EQ(state_of(), before) << more;
    }
}

}  // namespace
}  // namespace saddle
