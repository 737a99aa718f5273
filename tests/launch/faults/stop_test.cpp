// Runs that are asked to stop, by signals or the clock: they save, end with status 75, and go on as if
// nothing had happened. And runs whose folder is held by another job.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/launch/faults/job.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using test::Job;
using test::kSteps;
using test::logged_step;
using test::sleep_ms;
using test::within;
using testing::AllOf;
using testing::HasSubstr;

class Stop : public test::JobTest {
 protected:
  static constexpr const char* kPaced = "SADDLE_FAULT_PACE=30";

  static void send(const Job& job, int rank, int signal) {
    const auto processes = job.processes(rank);
    ASSERT_EQ(processes.size(), 1U) << job.output();
    kill(processes[0], signal);
  }
  static bool reaches(Job& job, int64_t step) {
    return within(60, [&] { return logged_step(run_of(folder())) >= step || !job.running(); }) &&
           job.running();
  }
  static void expect_stopped(Job& job, const std::string& why) {
    ASSERT_TRUE(within(30, [&] { return !job.running(); })) << job.output();
    EXPECT_EQ(job.status(), 75) << job.output();
    EXPECT_THAT(job.output(), AllOf(HasSubstr("stopped at step"), HasSubstr(why)));
  }
};

TEST_F(Stop, AnySignalToAnyRankSavesAndResumesTheSame) {
  int rank = 0;
  for (const auto& [name, signal] : {std::pair("SIGUSR1", SIGUSR1),
                                     {"SIGUSR2", SIGUSR2},
                                     {"SIGTERM", SIGTERM},
                                     {"SIGINT", SIGINT},
                                     {"SIGHUP", SIGHUP},
                                     {"SIGXCPU", SIGXCPU}}) {
    SCOPED_TRACE(name);
    fs::remove_all(folder());
    Job job(folder(), ranks(4, flags(run_of(folder()))), kPaced);
    ASSERT_TRUE(reaches(job, 15)) << job.output();
    rank = (rank + 1) % 4;
    send(job, rank, signal);
    expect_stopped(job, fmt::format("{} on rank {}", name, rank));
    EXPECT_LT(logged_step(run_of(folder())), kSteps);
    EXPECT_TRUE(resumes_to_the_same_state(folder()));
  }
}

TEST_F(Stop, ASignalBeforeTheFirstStepStopsAfterIt) {
  Job job(folder(), ranks(4, flags(run_of(folder()))), kPaced);
  ASSERT_TRUE(within(60, [&] { return fs::exists(run_of(folder()) + "/run.lock"); })) << job.output();
  send(job, 3, SIGTERM);
  expect_stopped(job, "SIGTERM on rank 3");
  EXPECT_TRUE(resumes_to_the_same_state(folder()));
}

TEST_F(Stop, ASignalDuringACheckpointIsHeeded) {
  for (int i = 0; i < 5; ++i) {  // a checkpoint every step: wherever it comes, it is in or beside one
    fs::remove_all(folder());
    Job job(folder(), ranks(4, flags(run_of(folder())) + " --set checkpoint.every=1"));
    ASSERT_TRUE(reaches(job, 5)) << job.output();
    sleep_ms(3 * i);
    send(job, 2, SIGUSR1);
    expect_stopped(job, "SIGUSR1 on rank 2");
  }
  EXPECT_TRUE(resumes_to_the_same_state(folder()));
}

TEST_F(Stop, SignalsToAllRanksAtOnceAreOneRequest) {
  Job job(folder(), ranks(4, flags(run_of(folder()))), kPaced);
  ASSERT_TRUE(reaches(job, 5)) << job.output();
  for (int again = 0; again < 2; ++again)
    for (int rank = 0; rank < 4; ++rank) send(job, rank, SIGTERM);
  expect_stopped(job, "SIGTERM on rank 0, SIGTERM on rank 1, SIGTERM on rank 2, SIGTERM on rank 3");
}

TEST_F(Stop, ASecondSignalEndsAtOnce) {
  Job job(folder(), ranks(4, flags(run_of(folder()))), "SADDLE_FAULT='sleep 2 12'");
  ASSERT_TRUE(within(60, [&] { return job.injected() || !job.running(); }));
  send(job, 1, SIGTERM);
  sleep_ms(1200);
  ASSERT_TRUE(job.running()) << "the first one does not end a step in mid-air\n" << job.output();
  send(job, 1, SIGTERM);
  ASSERT_TRUE(within(10, [&] { return !job.running(); }));
  EXPECT_EQ(job.status(), 143) << "nor did the watchdog end it\n" << job.output();
}

// mpirun itself would kill its ranks soon after these, and end with 1.
TEST_F(Stop, SignalsToLaunchMpiSaveAndItsStatusIsTheRanks) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    fs::remove_all(folder());
    Job job(folder(),
            fmt::format("{}recipe.toml -n 2 --data {}ring --out {} -- --set watch.timeout=60", dir_, dir_,
                        run_of(folder())),
            kPaced, SADDLE_FAULTY " launch mpi");
    ASSERT_TRUE(reaches(job, 5)) << job.output();
    job.signal(signal);
    expect_stopped(job, "SIGUSR1 on rank 0");
  }
}

TEST_F(Stop, ATrainingUnderNohupOutlivesItsTerminal) {
  Job job(folder(), fmt::format("train {}", flags(run_of(folder()))), kPaced, "nohup " SADDLE_FAULTY);
  ASSERT_TRUE(reaches(job, 5)) << job.output();
  job.signal(SIGHUP);
  ASSERT_TRUE(within(60, [&] { return !job.running(); }));
  EXPECT_EQ(job.status(), 0) << job.output();
}

TEST_F(Stop, MaxTimeStopsInTimeUntilTheRunIsDone) {
  int starts = 0;
  for (int status = 75; status == 75; ++starts) {
    ASSERT_LT(starts, 20);
    // A start takes a second or two here; the paced steps two.
    Job job(folder(), ranks(2, flags(run_of(folder())) + " --resume --max-time 4s"), "SADDLE_FAULT_PACE=100");
    ASSERT_TRUE(within(60, [&] { return !job.running(); }));
    status = job.status();
    ASSERT_TRUE(status == 75 || status == 0) << job.output();
    EXPECT_TRUE(status == 0 || job.output().find("(--max-time)") != std::string::npos) << job.output();
  }
  EXPECT_GT(starts, 1);
  EXPECT_EQ(logged_step(run_of(folder())), kSteps);
}

TEST_F(Stop, ASecondJobOnTheSameRunIsRefusedAndHarmsNothing) {
  Job first(folder(), ranks(2, flags(run_of(folder()))), "SADDLE_FAULT_PACE=50");
  ASSERT_TRUE(reaches(first, 5)) << first.output();
  Job second(folder() + "-second", ranks(2, flags(run_of(folder())) + " --resume"));
  ASSERT_TRUE(within(30, [&] { return !second.running(); }));
  EXPECT_EQ(second.status(), 64);
  EXPECT_THAT(second.last_line(), HasSubstr("held by another job: process"));
  EXPECT_TRUE(first.running());
  ASSERT_TRUE(within(60, [&] { return !first.running(); }));
  EXPECT_EQ(first.status(), 0) << first.output();
  EXPECT_FALSE(fs::exists(run_of(folder()) + "/run.lock"));
}

}  // namespace
}  // namespace saddle
