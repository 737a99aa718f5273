// Data sets as users pack, damage, stage and train on them.
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
using testing::HasSubstr;

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

TEST_F(Cli, WhatNoSystemDrawsIsPackedAllTheSame) {
  write_file(dir_ + "lines.txt", "hello world\nfoo bar\n");
  const Result packed = saddle(fmt::format("pack {0}lines.txt --out {0}lines", dir_));
  expect_ok(packed);
  EXPECT_THAT(packed.output, HasSubstr("no system here draws such data"));
  expect_error(saddle(fmt::format("train gan-ns --data {0}lines --out {0}x", dir_)), 65, "no net here draws");
}

TEST_F(Cli, SingleNumbersAreTrainedOnAndDrawn) {
  write_file(dir_ + "one.csv", "v\n1,5\n2,5\n3,7\n4,2\n");
  expect_ok(saddle(fmt::format("pack {0}one.csv --decimal , --out {0}one", dir_)));
  expect_ok(saddle(fmt::format("train gan-ns --data {0}one --out {0}x --steps 2 --set batch=2", dir_)));
  EXPECT_EQ(read_picture(dir_ + "x/samples/step-000002.png", 3).size(0), 3);
}

TEST_F(Cli, WhatLiesWhereDataOrARunAreLookedForIsNamed) {
  expect_error(saddle(train("ring/run", "--steps 1")), 64, "is inside the data set");
  EXPECT_FALSE(fs::exists(dir_ + "ring/run"));
  expect_ok(saddle(train("runs/a", "--steps 1")));
  expect_error(saddle(fmt::format("train gan-ns --data {0}runs --out {0}y", dir_)), 65, "it holds runs");
  write_png(dir_ + "one.png", torch::zeros({3, 8, 8}, torch::kByte));
  expect_error(saddle(fmt::format("train dcgan --data {0}one.png --out {0}y", dir_)), 65,
               "pack the folder that holds it");
  expect_ok(test::shell(fmt::format("mkfifo {}pipe", dir_)));
  expect_error(saddle(fmt::format("train {0}pipe --data {0}ring --out {0}y", dir_)), 64,
               "expected a file, found a pipe");
  expect_error(
      saddle(fmt::format("launch mpi gan-ns --data {0}ring --out {0}y --hostfile {0}pipe -n 2", dir_)), 74,
      "pipe");
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

}  // namespace
}  // namespace saddle
