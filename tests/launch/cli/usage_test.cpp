// Usage of the program: lists, versions, dry runs, and what is said of wrong command lines.
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "dist/file.h"
#include "tests/launch/cli/cli.h"

namespace saddle {
namespace {

using test::Cli;
using test::Result;
using test::saddle;
using testing::HasSubstr;

TEST_F(Cli, WrongWordsAreOneErrorThatNamesWhatWasMeant) {
  const std::pair<const char*, const char*> said[] = {
      {"trian dcgan", "did you mean `saddle train`?"},
      {"generate run", "did you mean `saddle sample`?"},
      {"launch slrum dcgan", "did you mean `saddle launch slurm`?"},
      {"train gan-ns --batch 32", "--set batch=32"},
      {"train --batch=32 gan-ns", "--set batch=32"},
      {"train gan-ns --lr 0.1", "--set g.lr=0.1 --set d.lr=0.1"},
      {"train gan-ns --step 5", "--steps"},
      {"train gan-ns --epochs 5", "that is --steps here"},
      {"train gan-ns --resum", "did you mean '--resume'?"},
      {"train gan-ns --gpus 4", "saddle launch mpi"},
      {"train gan-ns batch=3", "--set batch=3"},
      {"train gan-ns --set batch 3", "key=value without spaces"},
      {"train gan-ns --steps 0", "expected a positive number, found '0'"},
      {"doctor --timeout -1", "expected a positive number, found '-1'"},
      {"train gan-ns --set lr=1", "that is g.lr, d.lr here"},
      {"train gan-ns --set kimg=5", "that is steps here"},
      {"train gan-ns --set augment=true", "that is data.mirror, data.crop here"},
      {"train gan-ns --set fp16=true", "that is precision here"},
      {"train gan-ns --set warmup=5", "warmup is a key of other systems: wgan"},
      {"train DCGAN", "did you mean 'dcgan'"},
      {"train gan-ns --init-from run --step best", "--init-from-step"},
      {"train gan-ns --set zzzzzz=5", "unknown key 'zzzzzz' of gan-ns; `saddle train RECIPE --dry-run`"},
      {"train gan-ns --set seed=-1", "'seed' is at least 0, found -1"},
      {"train gan-ns --set steps=9999999999999", "'steps' is at most 1000000000000 steps"},
      {"launch mpi gan-ns --out run --steps 5", "go behind --: -- --steps 5"},
      {"launch mpi gan-ns --out run --set batch=5", "go behind --: -- --set batch=5"},
      {"launch mpi gan-ns --out run --batch 5", "--set batch=5, behind --"},
      {"list recipies", "recipes"}};
  for (const auto& [command, text] : said) {
    const Result result = saddle(command);
    expect_error(result, 64, text);
    EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 1) << result.output;
    EXPECT_LT(result.output.size(), 400U) << result.output;
  }
}

TEST_F(Cli, ListsAndVersions) {
  EXPECT_THAT(saddle("list systems").output, HasSubstr("wgan-gp"));
  EXPECT_THAT(saddle("list losses").output, testing::AllOf(HasSubstr("non-saturating"), HasSubstr("r1 ")));
  EXPECT_THAT(saddle("list systems --markdown").output, HasSubstr("| `wgan-gp` |"));
  EXPECT_THAT(saddle("list losses --markdown").output,
              testing::AllOf(HasSubstr("`loss=rpgan`"), HasSubstr("| `r1` |")));
  const std::string readme = read_file(SADDLE_SOURCE_DIR "/README.md"),
                    losses = read_file(SADDLE_SOURCE_DIR "/losses/README.md");
  EXPECT_THAT(read_file(SADDLE_SOURCE_DIR "/launch/README.md"),
              HasSubstr(saddle("list metrics --markdown").output));
  EXPECT_THAT(readme, HasSubstr(saddle("list systems --markdown").output)) << "the README's table is another";
  std::istringstream rows(saddle("list losses --markdown").output);
  for (std::string row; std::getline(rows, row);) EXPECT_THAT(losses, HasSubstr(row));
  expect_error(saddle("list recipes --markdown"), 64, "--markdown is for");
  EXPECT_THAT(saddle("list recipes").output, HasSubstr("dcgan"));
  EXPECT_THAT(saddle("list").output, testing::AllOf(HasSubstr("wgan-gp"), HasSubstr("non-saturating")));
  EXPECT_THAT(saddle("--version").output,
              testing::AllOf(HasSubstr("LibTorch"), HasSubstr("NCCL"), HasSubstr("MPI"), HasSubstr("HDF5")));
}

TEST_F(Cli, BadUsageIsOneErrorOnTwoRanksToo) {
  for (const int ranks : {0, 2}) {
    expect_error(saddle("train gan-ns --data /nowhere --out " + dir_ + "x", ranks), 65, "/nowhere");
    expect_error(saddle(train("x", "", "dcgna"), ranks), 64, "did you mean 'dcgan'");
    expect_error(saddle(train("x", "--set btach=3"), ranks), 64, "did you mean 'batch'");
    expect_error(saddle(train("x", "--set warmup=3"), ranks), 64, "unknown key 'warmup'");
    expect_error(saddle(train("x", "--set batch=0"), ranks), 64, "at least 1");
    expect_error(saddle(train("x", "", "dcgan"), ranks), 65, "image");
    expect_error(saddle(fmt::format("train gan-ns --data {}ring --out /proc/nowhere/x", dir_), ranks), 74,
                 "/proc/nowhere");
    expect_error(saddle("sample " + dir_ + "nothing", ranks), 64, "holds no run");
  }
  expect_error(saddle(train("x", "--set batch=15 --set accumulate=2"), 2), 64, "does not divide");
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

TEST_F(Cli, FlightRefusesRecordsThatNoRankLeft) {
  const std::string path = dir_ + "flight-0000.jsonl";
  const char* whole = R"({"number":7,"name":"g","bytes":4,"step":12,"doing":"D","entered":-3.5})";
  const std::pair<std::string, const char*> damaged[] = {
      {std::string(200'000, '['), "nested too deeply"},
      {"3", "expected an object"},
      {"{", "malformed"},
      {R"({"number":"7"})", "number: expected an integer"},
      {R"({"number":7,"step":1,"name":3,"doing":"x","entered":1})", "name: expected a text"},
      {R"({"number":7,"step":1,"name":"g","doing":"x","entered":"now"})", "entered: expected a number"}};
  for (const auto& [text, what] : damaged) {
    write_file(path, text);
    expect_error(saddle("flight " + dir_), 65, what);
  }
  std::filesystem::remove(path);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  expect_error(saddle("flight " + dir_), 74, "a FIFO");
  std::filesystem::remove(path);
  write_file(dir_ + "flight-999999999.jsonl", whole);
  EXPECT_THAT(saddle("flight " + dir_).output, HasSubstr("and 999998999 more left no record"));
}

}  // namespace
}  // namespace saddle
