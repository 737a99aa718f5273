// Several trainers in one job: what they leave in their folders, and that a job which is stopped or killed at
// any moment goes on as if nothing had happened, whichever trainer's newest checkpoint is missing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <random>

#include "tests/launch/faults/job.h"
#include "tests/launch/log_lines.h"
#include "tests/support/shell.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Job;
using test::kSteps;
using test::lines_of;
using test::read_all;
using test::within;
using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kEvery = 7;  // steps a round: some come just before a checkpoint, some long after one

class SeveralTrainers : public test::JobTest {
 protected:
  static std::string trainer(const std::string& folder, int t) {
    return fmt::format("{}/run/trainer-{}", folder, t);
  }
  static std::string arguments(int n, const std::string& folder, const std::string& more = "") {
    return ranks(n,
                 fmt::format("{} --trainers 2 --set tournament.every={} --set tournament.metric=modes --set "
                             "tournament.samples=64 {}",
                             flags(run_of(folder)), kEvery, more));
  }
  // The unbroken job on so many ranks, run once.
  static std::string unbroken(int n) {
    const std::string folder = fmt::format("{}unbroken-{}", dir_, n);
    if (!fs::exists(folder)) run(folder, arguments(n, folder));
    return folder;
  }
  static void expect_like_unbroken(int n, const std::string& folder) {
    const std::string straight = unbroken(n);
    for (int t = 0; t < 2; ++t) {
      const auto expected = last_checkpoint(trainer(straight, t));
      ASSERT_FALSE(expected.empty());
      EXPECT_TRUE(expected == last_checkpoint(trainer(folder, t))) << "trainer " << t;
      EXPECT_EQ(test::timeless_log(trainer(folder, t)), test::timeless_log(trainer(straight, t)));
    }
    EXPECT_EQ(read_all(run_of(folder) + "/tournament.json"), read_all(run_of(straight) + "/tournament.json"));
  }
  static void go_on(int n, const std::string& folder) {
    run(folder + "/resumed", ranks(n, fmt::format("{} --trainers 2 --resume --set tournament.every={} --set "
                                                  "tournament.metric=modes --set tournament.samples=64",
                                                  flags(run_of(folder)), kEvery)));
  }
};

TEST_F(SeveralTrainers, HaveOrdinaryRunFoldersAndAStanding) {
  const std::string folder = unbroken(2);
  const json standing = json::parse(read_all(run_of(folder) + "/tournament.json"));
  EXPECT_EQ(standing.at("trainers"), 2);
  EXPECT_EQ(standing.at("scores").size(), 2U);
  EXPECT_LE(standing.at("best"), 1);
  for (int t = 0; t < 2; ++t) {
    const std::string run = trainer(folder, t);
    EXPECT_THAT(read_all(run + "/options.toml"), HasSubstr(fmt::format("seed = {}\n", t)));
    int rounds = 0;
    for (const json& line : test::log_lines(run)) {
      if (!line.contains("tournament")) continue;
      ++rounds;
      EXPECT_EQ(line["step"], rounds * kEvery);
      EXPECT_EQ(line["tournament"]["round"], rounds);
      EXPECT_EQ(line["tournament"]["partner"], 1 - t);
    }
    EXPECT_EQ(rounds, kSteps / kEvery);
    for (const std::string& command :
         {"sample " + run + " --n 100 --out " + run + "/s.png", "evaluate " + run}) {
      const test::Result result = test::shell(SADDLE_FAULTY " " + command);
      EXPECT_EQ(result.status, 0) << result.output;
    }
  }
  const std::string output = read_all(folder + "/output");
  EXPECT_THAT(output,
              AllOf(HasSubstr("tournament round 8 at step 56: trainer 0 ("), HasSubstr(") against 1 (")));
}

TEST_F(SeveralTrainers, KilledAtAnyMomentTheyGoOnToTheSameEnd) {
  std::mt19937 random(7);
  for (const int n : {2, 4}) {
    unbroken(n);
    const std::string folder = fmt::format("{}-{}", this->folder(), n);
    for (int kills = 0; kills < 4; ++kills) {
      Job job(folder, arguments(n, folder, "--resume --set checkpoint.every=3"), "SADDLE_FAULT_PACE=20");
      const auto begun = [&] { return read_all(folder + "/output").find("batch 16") != std::string::npos; };
      ASSERT_TRUE(within(60, [&] { return begun() || !job.running(); }));
      test::sleep_ms(random() % 700);
      for (const pid_t pid : job.processes()) kill(pid, SIGKILL);
      ASSERT_TRUE(within(30, [&] { return !job.running(); }));
    }
    go_on(n, folder);
    // Checkpoints ended more ticks than in the unbroken job: the log has more lines.
    for (int t = 0; t < 2; ++t)
      EXPECT_TRUE(last_checkpoint(trainer(unbroken(n), t)) == last_checkpoint(trainer(folder, t)))
          << n << " ranks, trainer " << t;
  }
}

TEST_F(SeveralTrainers, ASignalToOneStopsAllAfterTheSameStep) {
  for (const int n : {2, 4}) {
    const std::string folder = fmt::format("{}-{}", this->folder(), n);
    Job job(folder, arguments(n, folder), "SADDLE_FAULT_PACE=30");
    ASSERT_TRUE(within(60, [&] { return test::logged_step(trainer(folder, 0)) >= 15 || !job.running(); }));
    const auto processes = job.processes(n - 1);
    ASSERT_EQ(processes.size(), 1U) << job.output();
    kill(processes[0], SIGTERM);
    ASSERT_TRUE(within(30, [&] { return !job.running(); }));
    EXPECT_EQ(job.status(), 75) << job.output();
    EXPECT_THAT(job.output(), HasSubstr(fmt::format("SIGTERM on rank {}", n - 1)));
    EXPECT_EQ(test::logged_step(trainer(folder, 0)), test::logged_step(trainer(folder, 1)));
    go_on(n, folder);
    for (int t = 0; t < 2; ++t)
      EXPECT_TRUE(last_checkpoint(trainer(unbroken(n), t)) == last_checkpoint(trainer(folder, t)));
  }
}

TEST_F(SeveralTrainers, GoOnFromTheNewestStepThatAllHold) {
  const std::string folder = this->folder();
  fs::create_directories(folder);
  fs::copy(run_of(unbroken(2)), run_of(folder), fs::copy_options::recursive);
  const auto checkpoint = [&](int t, int64_t step) {
    return fmt::format("{}/checkpoints/step-{:010}", trainer(folder, t), step);
  };
  fs::remove_all(checkpoint(1, 60));  // as if trainer 1 had been killed before it was published
  fs::resize_file(checkpoint(0, 50) + "/manifest.json", 10);  // and trainer 0's older one is damaged
  go_on(2, folder);
  EXPECT_THAT(read_all(folder + "/resumed/output"), HasSubstr("at step 40"));
  expect_like_unbroken(2, folder);
}

TEST_F(SeveralTrainers, WithNoStepInCommonAreAnError) {
  const std::string folder = this->folder();
  fs::create_directories(folder);
  fs::copy(run_of(unbroken(2)), run_of(folder), fs::copy_options::recursive);
  for (int64_t step = 10; step <= 60; step += 10)
    fs::remove_all(fmt::format("{}/checkpoints/step-{:010}", trainer(folder, step <= 30), step));
  Job job(folder + "/resumed", arguments(2, folder, "--resume"));
  ASSERT_TRUE(within(60, [&] { return !job.running(); }));
  EXPECT_EQ(job.status(), 65);
  EXPECT_THAT(job.output(), HasSubstr("no whole checkpoint of the same step"));
}

TEST_F(SeveralTrainers, WhatOneOfThemCannotDoEndsTheJobWithItsError) {
  const std::string folder = this->folder();
  fs::create_directories(trainer(folder, 1) + "/samples/step-000005.png");  // a folder where a picture goes
  Job job(folder, arguments(4, folder, "--set sample.every=5"));
  ASSERT_TRUE(within(20, [&] { return !job.running(); })) << job.output();
  EXPECT_EQ(job.status(), 74) << job.output();
  EXPECT_THAT(job.last_line(), AllOf(HasSubstr("trainer-1"), HasSubstr("step-000005.png")));
}

TEST_F(SeveralTrainers, BadUsageIsOneErrorThatSaysWhatToDo) {
  const std::string folder = unbroken(2), other = dir_ + "bad";
  const auto expect_error = [&](const std::string& arguments, const std::string& text) {
    Job job(other, arguments);
    ASSERT_TRUE(within(60, [&] { return !job.running(); }));
    EXPECT_EQ(job.status(), 64) << job.output();
    EXPECT_THAT(job.last_line(), HasSubstr(text));
  };
  expect_error(arguments(3, other), "3 ranks do not divide among 2 trainers");
  expect_error(arguments(2, other, "--set tournament.metric=fd"), "images with labels");
  expect_error(arguments(2, other, "--set checkpoint.keep=1"), "keep 2 or more");
  expect_error(arguments(2, folder), "already holds a run");
  expect_error(ranks(2, flags(run_of(folder)) + " --resume"), "pass --trainers 2");
  expect_error(ranks(4, flags(run_of(folder)) + " --resume --trainers 4"), "pass --trainers 2");
  expect_error(arguments(2, dir_ + "straight", "--resume"), "pass --trainers 1");
}

}  // namespace
}  // namespace saddle
