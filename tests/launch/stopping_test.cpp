// The parts of stopping and of the run's lock, without a run.
#include "launch/run/stopping.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <nlohmann/json.hpp>

#include "dist/process.h"
#include "launch/run/run_lock.h"
#include "tests/data/folder.h"

namespace {

int link_error = 0;

}  // namespace

// What libstdc++ calls.
extern "C" int link(const char* from, const char* to) {
  if (link_error == 0) return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
  errno = link_error;
  return -1;
}

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
              const StopSignals signals;
              raise(SIGXCPU);
              usleep(1'100'000);
              raise(SIGXCPU);  // the kernel's, every second
              raise(SIGHUP);
              if (StopSignals::received() != SIGXCPU) _exit(1);
            }),
            0);
  EXPECT_EQ(status_of([] {
              signal(SIGHUP, SIG_IGN);  // nohup
              const StopSignals signals;
              raise(SIGHUP);
              if (StopSignals::received() != 0) _exit(1);
            }),
            0);
  EXPECT_EQ(status_of([] {
              { const StopSignals signals; }
              raise(SIGTERM);
            }),
            128 + SIGTERM)
      << "after the scope a signal does what it did before";
}

// On file systems with hard links, and on those where link(2) fails so.
class RunLockTest : public testing::TestWithParam<int> {
 protected:
  static constexpr RunLock::Timing kQuick{.beat = 0.05, .patience = 0.5, .settle = 0.05};

  RunLockTest() { link_error = GetParam(); }
  ~RunLockTest() override { link_error = 0; }

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

TEST_P(RunLockTest, IsHeldByOneAndGoneAfterwards) {
  {
    const RunLock lock(path_);
    EXPECT_THAT(refusal(), AllOf(HasSubstr(fmt::format("process {} on {}", getpid(), host_name())),
                                 HasSubstr("another --out")));
    lock.require_held();
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_EQ(refusal(), "");
}

TEST_P(RunLockTest, OfADeadProcessIsTakenOverAtOnce) {
  ASSERT_EQ(status_of([&] {
              new RunLock(path_);
              _exit(0);
            }),
            0);
  ASSERT_TRUE(std::filesystem::exists(path_));
  EXPECT_EQ(error_of([&] { RunLock(path_, {.beat = 1, .patience = 1e9}); }), "");
}

TEST_P(RunLockTest, OfAnEarlierStartOfTheSameSlurmJobIsTakenOverAtOnce) {
  held_elsewhere({{"job", "7"}, {"restarts", 0}});
  setenv("SLURM_JOB_ID", "7", 1);
  setenv("SLURM_RESTART_COUNT", "1", 1);
  EXPECT_EQ(error_of([&] { RunLock(path_, {.beat = 1, .patience = 1e9}); }), "");
  unsetenv("SLURM_JOB_ID");
  unsetenv("SLURM_RESTART_COUNT");
}

TEST_P(RunLockTest, OfASilentHolderElsewhereIsTakenOverWithPatience) {
  held_elsewhere();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(refusal(), "");
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(500));
}

TEST_P(RunLockTest, OfALivingHolderElsewhereIsRespected) {
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

TEST_P(RunLockTest, WhichAnotherTookIsNoticed) {
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

TEST_P(RunLockTest, SurvivesItsFilesLossAndGarbage) {
  test::put(path_, "not json");
  EXPECT_EQ(refusal(), "") << "garbage shows no sign of life";
  const RunLock lock(path_, kQuick);
  std::filesystem::remove(path_);
  lock.require_held();
  usleep(200'000);
  EXPECT_EQ(file()["pid"], getpid());
}

TEST_P(RunLockTest, OfNoJobOfOursIsNotWaitedForLong) {
  test::put(path_, R"({"host": "elsewhere", "pid": 77})");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(error_of([&] { RunLock(path_, {.beat = 1, .patience = 1e9}); }), "");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_P(RunLockTest, IsNotWaitedForByAJobThatIsAskedToStop) {
  held_elsewhere();
  const StopSignals signals;
  raise(SIGTERM);
  try {
    const RunLock lock(path_, {.beat = 1, .patience = 1e9});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, Exit::again);
    EXPECT_THAT(error.what(), HasSubstr("asked to stop while waiting for the lock"));
  }
}

// None of them is waited for, whatever the patience.
TEST_P(RunLockTest, OfAnotherKindThanAFileIsAnErrorAtOnce) {
  const auto expect = [&](const std::string& kind) {
    EXPECT_THAT(error_of([&] { RunLock(path_, {.beat = 1, .patience = 1e9}); }),
                AllOf(HasSubstr("run.lock': expected a file, found " + kind), HasSubstr("remove it")));
    std::filesystem::remove(path_);
  };
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  expect("a FIFO");
  std::filesystem::create_symlink("nowhere", path_);
  expect("a link");
  std::filesystem::create_symlink("/dev/zero", path_);
  expect("a link");
  std::filesystem::create_directory(path_);
  expect("a folder");
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_P(RunLockTest, OfOtherTypesAndDepthsShowsNoSignOfLife) {
  held_elsewhere();
  for (const char* key : {"host", "place", "job", "pid", "start", "restarts"}) {
    json damaged = json::parse(left_);
    damaged[key] = damaged[key].is_string() ? json(7) : json("x");
    test::put(path_, damaged.dump());
    EXPECT_EQ(refusal(), "") << key;
  }
  for (const std::string& text : {std::string(60'000, '['), std::string(200'000, '['), std::string("[]")}) {
    test::put(path_, text);
    EXPECT_EQ(refusal(), "");
  }
}

// Of many that try at once one holds the lock, also where only the file's creation decides.
TEST_P(RunLockTest, OfManyAtOnceOneGetsIt) {
  std::vector<pid_t> tried;
  for (int i = 0; i < 6; ++i) {
    tried.push_back(fork());
    if (tried.back() != 0) continue;
    try {
      const RunLock lock(path_, kQuick);
      usleep(1'000'000);
      lock.require_held();
      _exit(0);
    } catch (const Error&) {
      _exit(1);
    }
  }
  int holders = 0;
  for (const pid_t pid : tried) {
    int status = 0;
    waitpid(pid, &status, 0);
    holders += status == 0;
  }
  EXPECT_EQ(holders, 1);
}

TEST_P(RunLockTest, LeavesNothingBesideTheFile) {
  test::put(path_, "not json");
  {
    const RunLock lock(path_, kQuick);
    EXPECT_EQ(has_hard_links(folder_.path()), GetParam() == 0);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

INSTANTIATE_TEST_SUITE_P(Links, RunLockTest, testing::Values(0, EPERM),
                         [](const auto& info) { return info.param ? "Fail" : "Work"; });

TEST(RunLock, HoldsWhateverLinksFailWith) {
  const test::Folder folder;
  for (const int error : {EOPNOTSUPP, ENOSYS, EMLINK, EXDEV, EACCES}) {
    link_error = error;
    const RunLock lock(folder / "run.lock", {.settle = 0.01});
    EXPECT_THAT(error_of([&] { RunLock(folder / "run.lock"); }), HasSubstr("another --out"));
    link_error = 0;
  }
}

}  // namespace
}  // namespace saddle
