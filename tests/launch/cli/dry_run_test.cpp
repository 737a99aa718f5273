// What --dry-run proves, and what stands in the way of a training: data sets, run folders, doubts.
#include "data/view/picture.h"
#include "dist/file.h"
#include "tests/launch/cli/cli.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using test::Cli;
using test::Result;
using test::saddle;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class DryRun : public Cli {
 protected:
  // Two classes of two pictures each.
  std::string pictures(int64_t size) const {
    for (const char* name : {"a/1", "a/2", "b/1", "b/2"}) {
      fs::create_directories(fs::path(dir_ + "pictures/" + name).parent_path());
      write_png(fmt::format("{}pictures/{}.png", dir_, name),
                torch::full({3, size, size}, name[2], torch::kByte));
    }
    return dir_ + "pictures";
  }
  std::string pack(int64_t size, const std::string& more = "") const {
    expect_ok(saddle(fmt::format("pack {} --out {}packed {}", pictures(size), dir_, more)));
    return dir_ + "packed";
  }
};

TEST_F(DryRun, WithoutDataItExplainsEveryKeyAndMarksWhatTheRecipeChanged) {
  const Result result = saddle("train dcgan --dry-run --set batch=65");
  expect_ok(result);
  for (const char* key : {"batch", "checkpoint.keep", "g.lr", "loss"})
    EXPECT_THAT(result.output, HasSubstr(key));
  EXPECT_THAT(result.output, ContainsRegex("batch = 65 +# \\* default 64: "));
  EXPECT_THAT(result.output, ContainsRegex("# data\ndata.folder"));
  EXPECT_THAT(result.output, Not(ContainsRegex("[0-9]{7}"))) << "a bound that tells nothing";
  write_file(dir_ + "all.toml", result.output);
  expect_ok(saddle(fmt::format("train {}all.toml --dry-run", dir_)));
}

TEST_F(DryRun, WithDataItProvesTheTrainingAndWritesNothing) {
  for (const int ranks : {0, 1, 2}) {
    const Result result = saddle(train("run", "--dry-run --steps 250 --set batch=15"), ranks);
    expect_ok(result);
    EXPECT_THAT(result.output, AllOf(ContainsRegex("data +.*ring: 2000 samples of x float32 \\[2\\]"),
                                     HasSubstr("not needed: none there"), HasSubstr("1.88 epochs"),
                                     ContainsRegex("nets +G [0-9]+ parameters, D [0-9]+"),
                                     HasSubstr("batch = 15 (default 64)"), HasSubstr("nothing was started")));
    EXPECT_THAT(result.output, HasSubstr(ranks == 2 ? "2 on cpu; a batch of 15 is 7 or 8 samples a rank"
                                                    : "1 on cpu; a batch of 15 is 15 samples a rank"));
  }
  EXPECT_FALSE(fs::exists(dir_ + "run"));
}

TEST_F(DryRun, RefusesWhatTheTrainingRefuses) {
  const std::pair<std::string, std::pair<int, const char*>> cases[] = {
      {train("x", "", "dcgan"), {65, "image"}},
      {train("x", "", "cgan"), {65, "needs data with labels"}},
      {train("x", "--set batch=15 --set accumulate=2"), {64, "does not divide"}},
      {train("x", "--trainers 3"), {64, "do not divide among 3 trainers"}},
      {train("x", "--init-from " + dir_ + "nothing"), {64, "expected a run folder or"}},
      {fmt::format("train gan-ns --data {}ring --out /proc/x", dir_),
       {74, "cannot make the run folder '/proc/x'"}},
      {train("ring"), {64, "is a data set"}}};
  for (const auto& [command, refusal] : cases)
    for (const char* dry : {"", " --dry-run"})
      expect_error(saddle(command + dry), refusal.first, refusal.second);
}

TEST_F(DryRun, SaysFromWhichStepARunGoesOnOrThatItIsAnother) {
  expect_ok(saddle(train("run", "--steps 10")));
  const Result on = saddle(fmt::format("train --out {}run --resume --steps 20 --dry-run", dir_));
  expect_ok(on);
  EXPECT_THAT(on.output, HasSubstr("goes on from step 10 of 20"));
  expect_error(saddle(train("run", "--steps 20 --resume --set g.lr=0.5 --dry-run")), 64, "g.lr");
  EXPECT_EQ(log_of("run").size(), 2U);
}

TEST_F(DryRun, WhatIsNoDataSetIsSaidToBeWhatItIs) {
  pictures(8);
  expect_ok(saddle(train("run", "--steps 5")));
  expect_ok(saddle(fmt::format("pack {0}pictures --out {0}split --validation 50%", dir_)));
  fs::create_directories(dir_ + "empty");
  const auto with = [&](const std::string& data) {
    return saddle(fmt::format("train gan-ns --data {0}{1} --out {0}x", dir_, data));
  };
  expect_error(with("pictures"), 65, fmt::format("`saddle pack {0}pictures --out {0}pictures-packed`", dir_));
  expect_error(with("split"), 65, fmt::format("pass '{0}split/train' or '{0}split/validation'", dir_));
  expect_error(with("run"), 65, "that is the folder of a run");
  expect_error(with("empty"), 65, "it is empty");
  expect_error(with("nowhere"), 65, "no such folder");
  expect_error(with("ring/shard-00000.h5"), 65, fmt::format("pass this folder", dir_));
  expect_error(with("pictures/a/1.png"), 65, "pictures/a-packed`");
  write_file(dir_ + "pictures/dataset.json", "{\"labels\": [[\"a/1.png\", 0]]}");
  expect_error(with("pictures"), 65, "StyleGAN's table of labels");
  EXPECT_FALSE(fs::exists(dir_ + "x"));
}

TEST_F(DryRun, ARunIsMadeOnlyWhereNothingElseLies) {
  pictures(8);
  write_file(dir_ + "file", "x");
  const auto to = [&](const std::string& out) { return saddle(train(out, "--steps 5")); };
  expect_error(to("pictures"), 64, "holds other files (a and 1 more)");
  expect_error(to("file"), 64, "is a file");
  expect_error(to("ring"), 64, "is a data set");
  fs::create_directories(dir_ + "run/samples");  // left by a start that failed, beside a log of a shell
  write_file(dir_ + "run/train.log", "");
  expect_ok(to("run"));
}

TEST_F(DryRun, WhatIsLeftOutToGoOnIsSaid) {
  expect_ok(saddle(train("run", "--steps 5")));
  const std::string advice = fmt::format("leave the recipe out: `saddle train --out {}run --resume`", dir_);
  expect_error(saddle(fmt::format("train gan-ns --out {}run --resume --steps 10", dir_)), 64, advice);
  expect_error(saddle(fmt::format("train gan-ns --data {0}ring --out {0}run --resume --steps 10", dir_)), 64,
               advice);
  expect_ok(saddle(fmt::format("train --out {}run --resume --steps 10", dir_)));
  expect_error(saddle(fmt::format("train {}run --resume", dir_)), 64, "--resume` goes on with it");
}

TEST_F(DryRun, WhatIsHardlyMeantIsSaidOnce) {
  const std::string data = pack(32);
  const auto doubts = [&](const std::string& arguments) {
    const Result result = saddle(fmt::format("train {} --data {} --dry-run", arguments, data));
    expect_ok(result);
    return result.output;
  };
  EXPECT_THAT(
      doubts("gan-ns --set batch=4"),
      AllOf(HasSubstr("perceptrons (G of "), HasSubstr("pictures of 3x32x32"), Not(HasSubstr("larger"))));
  EXPECT_THAT(doubts("dcgan --set d.freeze=1"),
              AllOf(HasSubstr("a batch of 64 is larger than the data set of 4 samples"),
                    HasSubstr("--init-from"), Not(HasSubstr("perceptrons"))));
  EXPECT_THAT(doubts("dcgan --set batch=4 --set data.window=9"),
              HasSubstr("data.window has no effect without data.order=local"));
  const Result trained = saddle(train("run", "--steps 1 --set batch=3000"));
  expect_ok(trained);
  EXPECT_THAT(trained.output, HasSubstr("larger than the data set of 2000 samples"));
}

TEST_F(DryRun, AFileNamedAsABuiltInRecipeIsRefused) {
  write_file(dir_ + "gan", "system = \"gan-ns\"\n");
  const auto in = [&](const std::string& recipe) {
    return test::shell(fmt::format("cd {} && " SADDLE_BINARY " train {} --dry-run", dir_, recipe));
  };
  expect_error(in("gan"), 64, "two recipes 'gan'");
  EXPECT_THAT(in("./gan").output, HasSubstr("gan-ns"));
}

}  // namespace
}  // namespace saddle
