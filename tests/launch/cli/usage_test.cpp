// Usage of the program: lists, versions, dry runs, and what is said of wrong command lines.
#include "dist/file.h"
#include "tests/launch/cli/cli.h"

namespace saddle {
namespace {

using test::Cli;
using test::Result;
using test::saddle;
using testing::HasSubstr;

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
