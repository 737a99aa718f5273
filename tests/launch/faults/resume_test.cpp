// Jobs that were killed or given another number of ranks: what they go on to is the unbroken training.
// SADDLE_FAULT_REPEATS=N kills N times, at random moments.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <iostream>
#include <iterator>
#include <map>

#include "data/view/picture.h"
#include "dist/random.h"
#include "tests/launch/checkpoint_files.h"
#include "tests/launch/faults/job.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using test::Job;
using test::kRanks;
using test::kSteps;
using test::lines_of;
using test::read_all;
using test::sleep_ms;
using test::within;
using testing::HasSubstr;
using testing::Not;

using Resume = test::JobTest;
using Record = std::map<int64_t, std::vector<std::string>>;  // step -> the global batch

// The batches that a record tells of, by rank and step; a step that two runs took must have been the same.
Record batches_of(const std::string& path) {
  std::map<int64_t, std::map<int, std::vector<std::string>>> shares;
  Record all;
  const auto finish = [&](int64_t step, const std::map<int, std::vector<std::string>>& by_rank) {
    std::vector<std::string> batch;
    for (const auto& [rank, ids] : by_rank) batch.insert(batch.end(), ids.begin(), ids.end());
    if (batch.size() != 16) return false;  // not all ranks have come to it
    const auto [at, fresh] = all.emplace(step, batch);
    EXPECT_TRUE(fresh || at->second == batch) << "step " << step << " was taken twice, with other samples";
    return true;
  };
  for (const std::string& line : lines_of(read_all(path))) {
    std::istringstream words(line);
    int64_t step = 0;
    int rank = 0;
    words >> step >> rank;
    auto& share = shares[step];
    share[rank] = {std::istream_iterator<std::string>(words), {}};
    if (finish(step, share)) share.clear();
  }
  return all;
}

// The status of a job that records the samples it is given.
int recorded(const std::string& folder, const std::string& arguments, const std::string& record,
             const std::string& fault = "none -1 0") {
  Job job(folder, arguments, fmt::format("SADDLE_FAULT_RECORD={} SADDLE_FAULT='{}'", record, fault));
  EXPECT_TRUE(within(120, [&] { return !job.running(); })) << job.output();
  return job.status();
}

TEST_F(Resume, AKilledRunConsumesTheSamplesOfAnUnbrokenOneOnAnyNumberOfRanks) {
  ASSERT_EQ(recorded(dir_ + "whole", ranks(2, flags(dir_ + "whole/run")), dir_ + "whole.txt"), 0);
  const Record whole = batches_of(dir_ + "whole.txt");
  ASSERT_EQ(int64_t(whole.size()), kSteps);
  for (int i = 0; i < std::max(3, repeats()); ++i) {
    const int n = 1 << i % 3;
    const auto step = std::uniform_int_distribution<int64_t>(1, kSteps - 2)(random_);
    SCOPED_TRACE(fmt::format("killed at step {}, resumed on {} ranks", step, n));
    const std::string folder = fmt::format("{}order-{}", dir_, i), record = folder + ".txt";
    EXPECT_EQ(
        recorded(folder, ranks(2, flags(folder + "/run")), record, fmt::format("kill {} {}", i % 2, step)),
        137);
    EXPECT_EQ(recorded(folder + "-again", ranks(n, flags(folder + "/run") + " --resume"), record), 0);
    EXPECT_EQ(batches_of(record), whole);
    fs::remove_all(folder);
  }
}

// On images, with batch norm in G, an average of its weights, and a penalty every fourth step.
TEST_F(Resume, OnTwoRanksThenOneThenFourThenTwoItIsTheUnbrokenTraining) {
  const torch::Tensor pixels =
      (uniform({7, "pictures"}, {0, 200}, {1, 16, 16}, torch::kFloat) * 255).to(torch::kByte);
  fs::create_directories(dir_ + "pictures");
  for (int i = 0; i < 200; ++i) write_png(fmt::format("{}pictures/{}.png", dir_, i), pixels[i]);
  run(dir_ + "pack3", fmt::format("-n 1 {0} pack {1}pictures --out {1}images", SADDLE_BINARY, dir_));
  for (const auto& [precision, tolerance] : {std::pair{"float64", 1e-12}, {"float32", 1e-5}}) {
    const auto start = [&](const std::string& name, int n, int64_t steps) {
      const std::string folder = dir_ + precision + name;
      EXPECT_EQ(recorded(fmt::format("{}/{}", folder, steps),
                         ranks(n, fmt::format("{0}recipe.toml --data {0}images --out {1}/run --resume --set "
                                              "g.norm=batch --set ema=0.9 --set penalty_every=4 --set "
                                              "precision={2} --set checkpoint.every=0 --steps {3}",
                                              dir_, folder, precision, steps)),
                         folder + ".txt"),
                0);
      return folder;
    };
    const std::string whole = start("whole", 2, kSteps);
    std::string resized;
    const int n[] = {2, 1, 4, 2};
    for (int part = 0; part < 4; ++part) resized = start("resized", n[part], (part + 1) * kSteps / 4);
    const Record samples = batches_of(whole + ".txt");
    EXPECT_EQ(int64_t(samples.size()), kSteps);
    EXPECT_EQ(batches_of(resized + ".txt"), samples);
    double largest = 0;
    const auto a = test::checkpoint_tensors(whole + "/run", kSteps),
               b = test::checkpoint_tensors(resized + "/run", kSteps);
    EXPECT_EQ(a.size(), b.size());
    for (const auto& [name, tensor] : a)
      if (tensor.numel() > 0)
        largest = std::max(largest, (tensor - b.at(name)).abs().max().template item<double>());
    EXPECT_LE(largest, tolerance) << precision;
    std::cout << fmt::format(
        "{}: after {} steps on 2, 1, 4 and 2 ranks the state differs by at most {:.1e}\n", precision, kSteps,
        largest);
  }
}

// Launcher and all: nobody is left to clean up or say a word. A checkpoint every step, written while the next
// step runs: most of the moments are inside one's making.
TEST_F(Resume, KilledAsAWholeAtAnyMomentItGoesOnToTheSameEnd) {
  const int wanted = std::max(8, repeats());
  int kills = 0, inside = 0, runs = 0;
  const auto straight = last_checkpoint(dir_ + "straight/run");
  while (kills < wanted) {
    const std::string folder = fmt::format("{}moments-{}", dir_, runs++);
    for (bool done = false; !done;) {
      fs::remove_all(folder + "/tmp");
      Job job(folder,
              ranks(kRanks,
                    flags(folder + "/run") + " --resume --set checkpoint.every=1 --set checkpoint.keep=2"),
              "SADDLE_FAULT_PACE=5");
      ASSERT_TRUE(within(60, [&] { return fs::exists(folder + "/run/run.lock") || !job.running(); }));
      sleep_ms(std::uniform_int_distribution<int64_t>(0, 600)(random_));
      if (kills < wanted && job.running()) {
        for (const pid_t pid : job.processes()) kill(pid, SIGKILL);
        ++kills;
      }
      ASSERT_TRUE(within(60, [&] { return !job.running(); })) << job.output();
      for (const auto& entry : fs::directory_iterator(folder + "/run/checkpoints"))
        inside += entry.path().extension() == ".tmp" || entry.path().extension() == ".old";
      done = job.status() == 0;
      ASSERT_TRUE(done || job.status() == 137) << job.status() << job.output();
      ASSERT_THAT(job.output(), Not(HasSubstr("is not usable"))) << "a published one is whole";
    }
    EXPECT_TRUE(last_checkpoint(folder + "/run") == straight);
    fs::remove_all(folder);
  }
  std::cout << fmt::format("{} kills of {} runs, {} with a checkpoint half made or half removed\n", kills,
                           runs, inside);
}

}  // namespace
}  // namespace saddle
