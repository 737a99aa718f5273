// The program as a process among others: without MPI where no launcher introduces ranks, whatever its
// environment, streams and host are like.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <new>

#include "dist/caught.h"
#include "dist/launcher.h"
#include "dist/process.h"
#include "dist/streams.h"
#include "tests/data/folder.h"
#include "tests/support/shell.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using test::Folder;
using test::Result;
using test::shell;
using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

// MPI does not start under these settings, not even alone.
constexpr const char* kNoMpi = "OMPI_MCA_pml=none-such ";

Result saddle(const std::string& arguments, const std::string& before = kNoMpi) {
  return shell(before + "timeout 120 " SADDLE_BINARY " " + arguments);
}

// ---- what launchers say

Launcher told(const std::map<std::string, std::string>& environment, bool in_shell = false) {
  return launcher(
      [&](const char* name) {
        const auto found = environment.find(name);
        return found == environment.end() ? nullptr : found->second.c_str();
      },
      in_shell);
}

TEST(Launcher, APlainProcessIsAloneAndSpeaksWhateverItsJobIsLike) {
  const std::map<std::string, std::string> kJob = {{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "4"}},
                                           kTask = {{"SLURM_NTASKS", "4"},
                                                    {"SLURM_STEP_NUM_TASKS", "1"},
                                                    {"SLURM_PROCID", "0"},
                                                    {"PMIX_RANK", "0"}};
  EXPECT_FALSE(told({}).several());
  for (auto environment : {kJob, kTask}) {
    EXPECT_FALSE(told(environment).several());
    environment["SLURM_PROCID"] = "3";
    EXPECT_TRUE(told(environment).first()) << "of a shell's";
  }
  EXPECT_FALSE(told({{"OMPI_COMM_WORLD_SIZE", "1"}, {"SLURM_STEP_NUM_TASKS", "4"}}).several());
}

TEST(Launcher, SeveralRanksSpeakByTheFirst) {
  for (const char* size : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"})
    for (const char* rank : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"}) {
      EXPECT_TRUE(told({{size, "2"}, {rank, "0"}}).first());
      EXPECT_FALSE(told({{size, "2"}, {rank, "1"}}).first());
      EXPECT_TRUE(told({{size, "2"}, {rank, "1"}}).several());
    }
  EXPECT_TRUE(told({{"PMIX_RANK", "0"}}).several()) << "MPI knows how many";
}

TEST(Launcher, SrunIntroducesByPmixOnly) {
  const std::map<std::string, std::string> kTask = {{"SLURM_STEP_NUM_TASKS", "2"}};
  const auto with = [&](const char* name) {
    auto environment = kTask;
    environment[name] = "0";
    return told(environment);
  };
  EXPECT_FALSE(told(kTask).introduces);
  EXPECT_TRUE(with("PMIX_RANK").introduces);
  EXPECT_FALSE(with("PMI_RANK").introduces) << "srun --mpi=pmi2, of which OpenMPI knows nothing";
  EXPECT_TRUE(told({{"PMI_RANK", "0"}}).introduces);
}

TEST(Launcher, TheShellOfSrunIsNoWorld) {
  const std::map<std::string, std::string> kShell = {
      {"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_NTASKS", "4"}, {"PMIX_RANK", "0"}, {"SLURM_PROCID", "0"}};
  EXPECT_TRUE(told(kShell).several());
  EXPECT_FALSE(told(kShell, /*in_shell=*/true).several());
  auto mpirun = kShell;
  mpirun["OMPI_COMM_WORLD_SIZE"] = "2";
  EXPECT_TRUE(told(mpirun, /*in_shell=*/true).several());
}

// ---- errors

template <class Thrown>
Error error_for(const Thrown& thrown) {
  try {
    throw thrown;
  } catch (...) {
    return caught();
  }
}

TEST(Caught, WhatTheMachineRefusedIsNoBug) {
  const Error file =
      error_for(fs::filesystem_error("status", "/a", std::make_error_code(std::errc::io_error)));
  EXPECT_EQ(file.kind, Exit::io);
  EXPECT_THAT(file.what(), HasSubstr("/a"));
  const Error memory = error_for(std::bad_alloc());
  EXPECT_EQ(memory.kind, Exit::io);
  EXPECT_THAT(memory.what(), HasSubstr("out of memory"));
  EXPECT_EQ(error_for(std::length_error("vector")).kind, Exit::io);
  EXPECT_EQ(error_for(std::out_of_range("at")).kind, Exit::bug);
  EXPECT_EQ(error_for(1).kind, Exit::bug);
  EXPECT_EQ(error_for(Error(Exit::data, "x")).kind, Exit::data);
}

TEST(Caught, WhatLibrariesSayIsOneLine) {
  EXPECT_STREQ(error_for(std::runtime_error("\nfirst\nsecond")).what(), "first");
  EXPECT_STREQ(error_for(Error(Exit::data, "one:\n  two")).what(), "one:\n  two");
  try {
    nlohmann::json(3).at("key");
  } catch (...) {
    EXPECT_EQ(caught().kind, Exit::data);
  }
}

// ---- names

TEST(HostNames, ArePrintableAndNeverEmpty) {
  EXPECT_EQ(printable_name("node-1.cluster"), "node-1.cluster");
  EXPECT_EQ(printable_name("a\xff b\n"), "a\\xff\\x20b\\x0a");
  EXPECT_EQ(printable_name(""), "unnamed-host");
}

// ---- streams

TEST(Streams, ThoseThatAreClosedBecomeNothing) {
  const pid_t pid = fork();
  if (pid == 0) {
    const int unused = dup(0);
    close(unused);
    for (const int descriptor : {0, 1, 2}) close(descriptor);
    open_streams();
    struct stat nothing {
    }, found{};
    stat("/dev/null", &nothing);
    for (const int descriptor : {0, 1, 2})
      if (fstat(descriptor, &found) != 0 || found.st_rdev != nothing.st_rdev) _exit(1);
    _exit(dup(0) == unused ? 0 : 2);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

// ---- the program

class Process : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<Folder>();
    ASSERT_EQ(saddle("pack ring8 --samples 500 --seed 1 --out " + *folder_ / "ring").status, 0);
    ASSERT_EQ(saddle(train("run")).status, 0);
  }
  static void TearDownTestSuite() { folder_.reset(); }
  static std::string at(const std::string& name) { return *folder_ / name; }
  static std::string train(const std::string& out, int steps = 2) {
    return fmt::format(
        "train gan-ns --data {} --out {} --steps {} --set batch=16 --set g.width=8 --set d.width=8 "
        "--set tick.every=1 --set sample.every=0",
        at("ring"), at(out), steps);
  }
  // One of each kind that needs no second rank.
  static std::vector<std::string> commands(const std::string& out) {
    return {"list recipes",
            "--version",
            "--help",
            "pack ring8 --samples 100 --out " + at(out + "-ring"),
            "check " + at("ring"),
            "check --json " + at("ring"),
            "train gan-ns --dry-run",
            "checkpoints " + at("run"),
            "evaluate --n 100 " + at("run"),
            "doctor --quick"};
  }
  static void expect_trains(const std::string& before) {
    const std::string out = testing::UnitTest::GetInstance()->current_test_info()->name();
    for (const std::string& command : commands(out)) {
      const Result result = saddle(command, before);
      EXPECT_EQ(result.status, 0) << command << "\n" << result.output;
    }
    for (const std::string& command :
         {train(out), "sample " + at(out) + " --n 4 --out " + at(out + ".png"),
          "export " + at(out) + " --to safetensors --out " + at(out + ".safetensors")}) {
      const Result result = saddle(command, before);
      EXPECT_EQ(result.status, 0) << command << "\n" << result.output;
    }
  }
  static inline std::unique_ptr<Folder> folder_;
};

TEST_F(Process, NeedsNoMpiInAShellOfSrun) {
  expect_trains(
      std::string(kNoMpi) +
      "SLURM_JOB_ID=7 SLURM_NTASKS=4 SLURM_STEP_NUM_TASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0 PMIX_RANK=0 ");
}

TEST_F(Process, NeedsNoHomeNoTemporaryFolderAndNoPath) {
  const std::string before = "env -u HOME TMPDIR=/nowhere PATH=/usr/bin:/bin ";
  for (const std::string& command : {std::string("list systems"), "check " + at("ring"), train("homeless")}) {
    const Result result = saddle(command, before);
    EXPECT_EQ(result.status, 0) << result.output;
  }
  EXPECT_THAT(saddle("doctor --quick", before).output, HasSubstr("set TMPDIR"));
}

TEST_F(Process, NeedsNoNetworkAndNoSharedMemory) {
  if (shell("unshare -nm mount -t tmpfs -o ro none /dev/shm").status != 0)
    GTEST_SKIP() << "network and mount namespaces are not permitted";
  const Result result = shell(fmt::format(
      "unshare -nm sh -c 'mount -t tmpfs -o ro none /dev/shm && timeout 60 {0} {1} && {0} doctor --quick'",
      SADDLE_BINARY, train("lonely")));
  EXPECT_EQ(result.status, 0) << result.output;
}

TEST_F(Process, HostsMayBeCalledAnything) {
  for (const std::string name : {"", "\xff\xfe", "a\"b/c"}) {
    const std::string out = "host" + std::to_string(name.size());
    const pid_t pid = fork();
    if (pid == 0) {
      if (unshare(CLONE_NEWUTS) != 0 || sethostname(name.c_str(), name.size()) != 0) _exit(77);
      const Result alone = saddle(train(out, 4));
      // mpirun itself refuses other names.
      const Result two = saddle(train(out, 8) + " --resume", name.empty() ? test::on_ranks(2) : kNoMpi);
      if (alone.status == 0 && two.status == 0) _exit(0);
      fputs((alone.output + two.output).c_str(), stderr);
      _exit(1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "host names cannot be set here";
    EXPECT_EQ(status, 0);
  }
}

TEST_F(Process, UsageErrorsArePrintedWhateverTheShellsRankIs) {
  const Result result = saddle("train --no-such", "SLURM_PROCID=3 SLURM_NTASKS=4 SLURM_STEP_NUM_TASKS=1 ");
  EXPECT_EQ(result.status, 64);
  EXPECT_THAT(result.output, HasSubstr("--no-such"));
  EXPECT_THAT(saddle("check /nowhere", "SLURM_PROCID=3 ").output, HasSubstr("/nowhere"));
}

TEST_F(Process, AWorldThatIsNoneIsRefusedByEveryCommandThatNeedsRanks) {
  for (const std::string before : {"SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=0 ", "PMI_SIZE=2 PMI_RANK=0 ",
                                   "SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=0 PMI_RANK=0 PMI_SIZE=2 "})
    for (const std::string& command : {train("half"), "pack ring8 --samples 9 --out " + at("half-ring"),
                                       "check " + at("ring"), std::string("list systems")}) {
      const Result result = saddle(command, before);
      EXPECT_EQ(result.status, 64) << result.output;
      EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 1) << result.output;
    }
  EXPECT_EQ(saddle("list systems", "SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=1 ").output, "");
  EXPECT_FALSE(fs::exists(at("half")));
}

TEST_F(Process, OfMpiThatDoesNotStartALineOfOursTells) {
  const Result result = saddle("list systems", test::on_ranks(2) + "-x OMPI_MCA_pml=none-such ");
  EXPECT_NE(result.status, 0);
  // Of one of them: mpirun ends the others.
  EXPECT_THAT(result.output, AnyOf(HasSubstr("saddle: rank 0 ("), HasSubstr("saddle: rank 1 (")));
  EXPECT_THAT(result.output, HasSubstr("MPI did not start"));
}

TEST_F(Process, AnOutputThatCannotBeWrittenIsAnError) {
  for (const std::string& command : commands("full")) {
    const Result result = saddle(command + " >/dev/full");
    EXPECT_EQ(result.status, 74) << command << "\n" << result.output;
    EXPECT_THAT(result.output, HasSubstr("saddle: cannot write the output to stdout: ")) << command;
  }
  EXPECT_THAT(saddle("list systems >/dev/full").output, HasSubstr("No space left"));
  EXPECT_EQ(saddle("check /nowhere >/dev/full").status, 65) << "the first error";
}

TEST_F(Process, AClosedOrFullLogDoesNotEndATraining) {
  for (const std::string tail : {"2>&1 | head -n 1", "2>/dev/full", "2>&-", "<&- >&- 2>&-"}) {
    fs::remove_all(at("log"));
    const Result result =
        shell(fmt::format("bash -o pipefail -c '{} {} {}'", SADDLE_BINARY, train("log", 50), tail));
    EXPECT_EQ(result.status, 0) << tail << result.output;
    EXPECT_TRUE(fs::exists(at("log/checkpoints/step-0000000050/manifest.json"))) << tail;
  }
  const Result mpirun =
      shell(fmt::format("bash -o pipefail -c '{} launch mpi gan-ns -n 2 --data {} --out {} -- --steps 80 "
                        "--set batch=16 --set g.width=8 --set d.width=8 "
                        "--set tick.every=1 --set sample.every=0 2>&1 | head -n 1'",
                        SADDLE_BINARY, at("ring"), at("log")));
  EXPECT_EQ(mpirun.status, 0) << mpirun.output;
  EXPECT_TRUE(fs::exists(at("log/checkpoints/step-0000000080/manifest.json")));
  EXPECT_EQ(saddle("checkpoints --verify " + at("log")).status, 0);
  EXPECT_EQ(saddle("check " + at("ring")).status, 0);
}

TEST_F(Process, FileSystemsWithoutHardLinksHoldRuns) {
  const std::string before = "LD_PRELOAD=" SADDLE_NO_HARD_LINKS " ";
  EXPECT_THAT(saddle("doctor --quick --out " + at("linkless"), before).output,
              HasSubstr("has no hard links here: made exclusively"));
  for (const int steps : {2, 4}) {
    const Result result = saddle(train("linkless", steps) + " --resume", before);
    EXPECT_EQ(result.status, 0) << result.output;
  }
  EXPECT_FALSE(fs::exists(at("linkless/run.lock")));
}

TEST_F(Process, ThreadsAreThoseOfTheOptionOrOfOpenMp) {
  const auto threads = [](const std::string& before, const std::string& more = "") {
    return saddle("doctor --quick " + more, before).output;
  };
  EXPECT_THAT(threads("OMP_NUM_THREADS=3 "), HasSubstr("3 compute threads a rank (OMP_NUM_THREADS=3)"));
  EXPECT_THAT(threads("OMP_NUM_THREADS=3,2 "), HasSubstr("3 compute threads a rank (OMP_NUM_THREADS=3,2)"));
  EXPECT_THAT(threads("OMP_NUM_THREADS=3 ", "--recipe gan-ns --set threads=1"),
              HasSubstr("1 compute thread a rank (threads=1)"));
  EXPECT_THAT(threads("env -u OMP_NUM_THREADS "), HasSubstr("(its share of the cores)"));
}

}  // namespace
}  // namespace saddle
