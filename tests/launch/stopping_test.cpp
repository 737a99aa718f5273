// The parts of stopping and of the run's lock, without a run.
#include "launch/stopping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "dist/process.h"
#include "launch/run_lock.h"
#include "tests/data/folder.h"

namespace saddle {
namespace {

using nlohmann::json;
using test::error_of;
using testing::AllOf;
using testing::HasSubstr;

// The status of a process that does `work`; 128 + n by signal n.
template <class Work>
int status_of(Work work) {
  const pid_t pid = fork();
  if (pid == 0) {
    work();
    _exit(0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(Durations, AreReadWithTheirUnits) {
  for (const auto& [text, seconds] : std::map<std::string, double>{{"90s", 90},
                                                                   {"1.5m", 90},
                                                                   {"12h", 43200},
                                                                   {"2d", 172800},
                                                                   {"00:01:30", 90},
                                                                   {"100:00:00", 360000},
                                                                   {"1-02:03:04", 93784}})
    EXPECT_EQ(parse_duration(text, "--max-time"), seconds) << text;
  for (const std::string text : {"", "90", "-5s", "5 m", "1:30", "00:61:00", "1-2h", "h", "1e3s", "nan"})
    EXPECT_THAT(error_of([&] { parse_duration(text, "--max-time"); }),
                AllOf(HasSubstr("--max-time expects"), HasSubstr("'" + text + "'")));
}

TEST(Deadline, LeavesTimeForAStepAndACheckpoint) {
  EXPECT_FALSE(Deadline(std::nullopt).late(1e9, 1e9));
  const Deadline deadline(process_age() + 100);
  EXPECT_FALSE(deadline.late(10, 40));
  EXPECT_TRUE(deadline.late(101, 0));
  EXPECT_TRUE(deadline.late(0, 80));
}

TEST(StopSignals, TakeTheFirstAsARequestAndALaterOneAsAnOrder) {
  EXPECT_EQ(status_of([] {
              const StopSignals signals;
              raise(SIGUSR1);
              raise(SIGTERM);  // forwarded twice: the same request
              if (StopSignals::received() != SIGUSR1) _exit(1);
            }),
            0);
  EXPECT_EQ(status_of([] {
              const StopSignals signals;
              raise(SIGUSR1);
              usleep(1'100'000);
              raise(SIGINT);
            }),
            128 + SIGINT);
  EXPECT_EQ(status_of([] {
              { const StopSignals signals; }
              raise(SIGTERM);
            }),
            128 + SIGTERM)
      << "after the scope a signal does what it did before";
}

class RunLockTest : public testing::Test {
 protected:
  static constexpr RunLock::Timing kQuick{.beat = 0.05, .patience = 0.5};

  std::string refusal() {
    return error_of([&] { RunLock(path_, kQuick); });
  }
  json file() { return json::parse(read_file(path_)); }
  // What a holder elsewhere would have written.
  void held_elsewhere(json more = {}) {
    {
      const RunLock lock(path_);
      json holder = file();
      holder["place"] = "elsewhere";
      holder["host"] = "far";
      if (!more.is_null()) holder.update(more);
      left_ = holder.dump();
    }
    test::put(path_, left_);
  }

  test::Folder folder_;
  std::string path_ = folder_ / "run.lock", left_;
};

TEST_F(RunLockTest, IsHeldByOneAndGoneAfterwards) {
  {
    const RunLock lock(path_);
    EXPECT_THAT(refusal(), AllOf(HasSubstr(fmt::format("process {} on {}", getpid(), host_name())),
                                 HasSubstr("another --out")));
    lock.require_held();
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_EQ(refusal(), "");
}

TEST_F(RunLockTest, OfADeadProcessIsTakenOverAtOnce) {
  ASSERT_EQ(status_of([&] {
              new RunLock(path_);
              _exit(0);
            }),
            0);
  ASSERT_TRUE(std::filesystem::exists(path_));
  EXPECT_EQ(error_of([&] { RunLock(path_, {.beat = 1, .patience = 1e9}); }), "");
}

TEST_F(RunLockTest, OfAnEarlierStartOfTheSameSlurmJobIsTakenOverAtOnce) {
  held_elsewhere({{"job", "7"}, {"restarts", 0}});
  setenv("SLURM_JOB_ID", "7", 1);
  setenv("SLURM_RESTART_COUNT", "1", 1);
  EXPECT_EQ(error_of([&] { RunLock(path_, {.beat = 1, .patience = 1e9}); }), "");
  unsetenv("SLURM_JOB_ID");
  unsetenv("SLURM_RESTART_COUNT");
}

TEST_F(RunLockTest, OfASilentHolderElsewhereIsTakenOverWithPatience) {
  held_elsewhere();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(refusal(), "");
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(500));
}

TEST_F(RunLockTest, OfALivingHolderElsewhereIsRespected) {
  held_elsewhere();
  std::jthread holder([&](const std::stop_token& stop) {
    for (int beat = 0; !stop.stop_requested(); ++beat) {
      json alive = json::parse(left_);
      alive["beat"] = beat;
      write_file(path_, alive.dump());
      usleep(20'000);
    }
  });
  EXPECT_THAT(refusal(), HasSubstr("on far"));
}

TEST_F(RunLockTest, WhichAnotherTookIsNoticed) {
  const RunLock lock(path_, kQuick);
  usleep(200'000);
  lock.require_held();
  EXPECT_GT(file()["beat"], 1);
  json other = file();
  other["pid"] = 1;
  test::put(path_, other.dump());
  usleep(200'000);
  EXPECT_THAT(error_of([&] { lock.require_held(); }), HasSubstr("taken over by process 1"));
}

TEST_F(RunLockTest, SurvivesItsFilesLossAndGarbage) {
  test::put(path_, "not json");
  EXPECT_EQ(refusal(), "") << "garbage shows no sign of life";
  const RunLock lock(path_, kQuick);
  std::filesystem::remove(path_);
  lock.require_held();
  usleep(200'000);
  EXPECT_EQ(file()["pid"], getpid());
}

}  // namespace
}  // namespace saddle
