// Jobs of four ranks in which something breaks: each must end by itself, soon, with a status and a last line
// that say who, where and why, leave nothing behind, and go on from its last checkpoint as if nothing had
// happened. SADDLE_FAULT_REPEATS=N injects each fault N times, at random steps, and prints a table.
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <iostream>
#include <random>
#include <set>

#include "tests/launch/faults/job.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using test::Clock;
using test::host;
using test::Job;
using test::kRanks;
using test::kSoon;
using test::kTimeout;
using test::lines_of;
using test::logged_step;
using test::rank_name;
using test::read_all;
using test::since;
using test::sleep_ms;
using test::within;
using testing::ContainsRegex;
using testing::HasSubstr;

// What happens, and how the job has to end.
struct Fault {
  std::string name;
  std::string kind = {};  // of faulty_system.cpp; empty: `signal` from outside
  int signal = 0;
  int rank = 2;
  int status = 0;
  bool hang = false;       // for the watchdog to notice, by its timeout
  std::string cause = {};  // in the last line, a regular expression
  int64_t of_five = -1;    // step % 5, 4 being the one before a tick and a digest; any if negative
  bool alone = true;       // one rank's fault: the others each say where they were
};

std::ostream& operator<<(std::ostream& out, const Fault& fault) {
  return out << fault.name;
}

// A row of the table.
struct Outcome {
  std::vector<double> seconds;
  std::set<int> statuses;
  int resumed = 0;
  std::string last;
};

class Faults : public test::JobTest, public testing::WithParamInterface<Fault> {
 protected:
  static inline std::vector<std::pair<std::string, Outcome>> table_;

  static int64_t step_of(const Fault& fault) {
    const int64_t step = repeats() == 1 ? 23 : std::uniform_int_distribution<int64_t>(11, 50)(random_);
    return fault.of_five < 0 ? step : step - step % 5 + fault.of_five;
  }

  static void TearDownTestSuite() {
    if (repeats() > 1) print_table();
    JobTest::TearDownTestSuite();
  }

  static void print_table() {
    std::cout << "\n| fault | runs | median s | max s | status | resumed equal | last line |\n"
                 "|---|---|---|---|---|---|---|\n";
    for (auto& [name, o] : table_) {
      std::sort(o.seconds.begin(), o.seconds.end());
      const size_t n = o.seconds.size();
      if (n == 0) continue;
      std::cout << fmt::format("| {} | {} | {:.1f} | {:.1f} | {} | {}/{} | {} |\n", name, n, o.seconds[n / 2],
                               o.seconds[n - 1], fmt::join(o.statuses, ", "), o.resumed, n, o.last);
    }
  }

  static std::string left_over(const Job& job) {
    std::string text;
    for (const pid_t pid : job.processes())
      text += fmt::format("process {}: {}\n", pid, read_all(fmt::format("/proc/{}/cmdline", pid)));
    for (const std::string& file : job.temporary_files()) text += "file " + file + "\n";
    return text;
  }

  // Waits until the job ends by itself. Asserts that it is soon, and that it leaves nothing behind.
  static double end_of(Job& job, Clock::time_point from, double bound) {
    within(bound + 20, [&] { return !job.running(); });
    const double seconds = since(from);
    EXPECT_LT(seconds, bound) << job.output();
    within(1, [&] { return left_over(job).empty(); });
    EXPECT_EQ(left_over(job), "");
    return seconds;
  }

  // The last line names the culprit, and each of the others has said where it was.
  static void expect_words_of_all(const Job& job, int culprit) {
    EXPECT_THAT(job.last_line(), HasSubstr(rank_name(culprit))) << job.output();
    for (int r = 0; r < kRanks; ++r)
      if (r != culprit) {
        EXPECT_THAT(job.output(), HasSubstr(rank_name(r) + " ends at "));
      }
  }

  static void expect_flight_records(const std::string& run, int except) {
    for (int r = 0; r < kRanks; ++r) {
      if (r == except) continue;
      const auto lines = lines_of(read_all(fmt::format("{}/flight-{:04}.jsonl", run, r)));
      ASSERT_FALSE(lines.empty()) << "rank " << r;
      EXPECT_TRUE(nlohmann::json::parse(lines.back()).contains("name"));
    }
  }
};

TEST_P(Faults, EndTheJobNameTheCauseAndAreSurvivedByResume) {
  const Fault fault = GetParam();
  Outcome& outcome = table_.emplace_back(fault.name, Outcome()).second;
  for (int i = 0; i < repeats(); ++i) {
    const int64_t step = step_of(fault);
    SCOPED_TRACE(fmt::format("{} of rank {} at step {}", fault.name, fault.rank, step));
    const std::string folder = fmt::format("{}{}-{}", dir_, fault.name, i);
    const std::string environment = fmt::format("SADDLE_FAULT_PACE=30 SADDLE_FAULT='{} {} {}'",
                                                fault.kind.empty() ? "none" : fault.kind, fault.rank, step);
    Job job(folder, ranks(kRanks, flags(folder + "/run")), environment);
    auto from = Clock::now();
    if (fault.kind.empty()) {
      ASSERT_TRUE(within(60, [&] { return logged_step(folder + "/run") >= step - 4 || !job.running(); }));
      const auto processes = job.processes(fault.rank);
      ASSERT_EQ(processes.size(), 1U) << job.output();
      from = Clock::now();
      kill(processes[0], fault.signal);
    } else {
      ASSERT_TRUE(within(60, [&] { return job.injected() || !job.running(); }));
      ASSERT_TRUE(job.injected()) << job.output();
      from = *job.injected();
    }
    outcome.seconds.push_back(end_of(job, from, fault.hang ? kTimeout + kSoon : kSoon));
    outcome.statuses.insert(job.status());
    outcome.last = job.last_line();
    EXPECT_EQ(job.status(), fault.status) << job.output();
    EXPECT_THAT(outcome.last, ContainsRegex(fault.cause)) << job.output();
    EXPECT_THAT(outcome.last, ContainsRegex("step [0-9]+")) << job.output();
    if (fault.alone) expect_words_of_all(job, fault.rank);
    if (fault.hang) expect_flight_records(folder + "/run", fault.signal == SIGSTOP ? fault.rank : -1);
    const bool same = resumes_to_the_same_state(folder);
    outcome.resumed += same;
    EXPECT_TRUE(same) << "the resumed run is not the straight one";
    if (HasFatalFailure()) return;
    fs::remove_all(folder);
  }
}

const char* const kGone = "died without a word";
const char* const kSilent = "has given no sign of life for [0-9]+ s";

INSTANTIATE_TEST_SUITE_P(
    All, Faults,
    testing::Values(
        Fault{.name = "SIGKILL", .signal = SIGKILL, .status = 137, .cause = kGone},
        Fault{.name = "SIGKILL_of_rank_0", .signal = SIGKILL, .rank = 0, .status = 137, .cause = "died"},
        Fault{.name = "SIGSTOP", .signal = SIGSTOP, .status = 124, .hang = true, .cause = kSilent},
        Fault{.name = "SIGSTOP_of_rank_0",
              .signal = SIGSTOP,
              .rank = 0,
              .status = 124,
              .hang = true,
              .cause = kSilent},
        Fault{.name = "endless_sleep",
              .kind = "sleep",
              .status = 124,
              .hang = true,
              .cause = "hangs: no progress at step [0-9]+, D forward"},
        Fault{.name = "endless_sleep_of_rank_0",
              .kind = "sleep",
              .rank = 0,
              .status = 124,
              .hang = true,
              .cause = "hangs: no progress at step [0-9]+, D forward"},
        Fault{.name = "endless_loop",
              .kind = "spin",
              .status = 124,
              .hang = true,
              .cause = "hangs: no progress at step [0-9]+, D forward"},
        Fault{.name = "exception",
              .kind = "throw",
              .status = 70,
              .cause = "the user's code threw this.*D forward"},
        Fault{.name = "exception_on_rank_0",
              .kind = "throw",
              .rank = 0,
              .status = 70,
              .cause = "the user's code threw this.*D forward"},
        Fault{.name = "collective_too_many",
              .kind = "extra",
              .status = 70,
              .cause = "different collectives.*rank 2.*extra",
              .alone = false},
        Fault{.name = "collective_left_out",
              .kind = "omit",
              .status = 70,
              .cause = "different collectives.*rank 2.*d bucket",
              .alone = false},
        Fault{.name = "reduction_left_out",
              .kind = "skip",
              .status = 70,
              .cause = "different collectives.*rank 2.*agreement",
              .of_five = 2,
              .alone = false},
        Fault{.name = "reduction_left_out_before_digest",
              .kind = "skip",
              .status = 124,
              .hang = true,
              .cause = "different collectives.*; rank 2 .*digest.*; rank 0 .*g bucket 0",
              .of_five = 4},
        Fault{.name = "NaN", .kind = "nan", .status = 76, .cause = "loss/D is nan at step", .alone = false},
        Fault{.name = "flipped_bit",
              .kind = "flip",
              .status = 70,
              .cause = "drifted apart: G\\.main\\.[0-9]\\.weight of rank 2 .*digest",
              .alone = false},
        Fault{.name = "exit", .kind = "exit", .status = 3, .cause = "exit.3. was called .at step"},
        Fault{.name = "exit_without_a_word", .kind = "_exit", .status = 3, .cause = kGone},
        Fault{.name = "SIGSEGV",
              .kind = "segv",
              .status = 139,
              .cause = "died of signal 11.*at step [0-9]+, D forward"},
        Fault{.name = "SIGSEGV_of_rank_0",
              .kind = "segv",
              .rank = 0,
              .status = 139,
              .cause = "died of signal 11.*at step"},
        Fault{.name = "abort",
              .kind = "abort",
              .status = 134,
              .cause = "died of signal 6.*at step [0-9]+, D forward"},
        Fault{.name = "out_of_memory", .kind = "oom", .status = 74, .cause = "memory.*D forward"}),
    [](const auto& info) { return info.param.name; });

// ---- jobs whose ranks were not started alike

class Start : public Faults {
 protected:
  static void refused(const std::string& name, const std::string& arguments, const std::string& cause) {
    const std::string folder = dir_ + name;
    Job job(folder, arguments);
    end_of(job, Clock::now(), kSoon);
    EXPECT_EQ(job.status(), 64);
    EXPECT_THAT(job.last_line(), ContainsRegex(cause)) << job.output();
    EXPECT_THAT(job.last_line(), testing::AllOf(HasSubstr(rank_name(2)), HasSubstr(rank_name(3))));
    EXPECT_FALSE(fs::exists(folder + "/run")) << "it wrote before it checked";
  }
};

TEST_F(Start, WithDifferentRecipesIsRefused) {
  const std::string run = dir_ + "recipes/run";
  refused("recipes", ranks(2, flags(run)) + " : " + ranks(2, flags(run, "other")),
          "same options.*lr = 0.123");
}

TEST_F(Start, OfDifferentProgramsIsRefused) {
  const std::string run = dir_ + "programs/run";
  refused("programs",
          ranks(2, flags(run, "plain"), SADDLE_BINARY) + " : " + ranks(2, flags(run, "plain"), SADDLE_FAULTY),
          "same program");
}

TEST_F(Start, WithDifferentCommandsIsRefused) {
  const std::string run = dir_ + "commands/run";
  refused("commands", ranks(2, flags(run)) + " : -n 2 " SADDLE_FAULTY " list systems",
          "same program and command.*list");
}

// The same path, but each host sees its own files there.
TEST_F(Start, OnDifferentDataIsRefused) {
  const std::string part = fmt::format(" {} train {}recipe.toml --data /proc/self/cwd/ring --out {}data/run",
                                       SADDLE_FAULTY, dir_, dir_);
  refused("data", fmt::format("-n 2 --wdir {}{} : -n 2 --wdir {}elsewhere{}", dir_, part, dir_, part),
          "same data");
}

// ---- what is no fault

TEST_F(Faults, AJobSuspendedAsAWholeGoesOn) {
  const std::string folder = dir_ + "suspended";
  Job job(folder, ranks(kRanks, flags(folder + "/run")), "SADDLE_FAULT_PACE=30");
  ASSERT_TRUE(within(60, [&] { return logged_step(folder + "/run") >= 20 || !job.running(); }));
  std::vector<pid_t> all;
  for (int r = 0; r < kRanks; ++r)
    for (const pid_t pid : job.processes(r)) all.push_back(pid);
  ASSERT_EQ(all.size(), static_cast<size_t>(kRanks));
  for (const pid_t pid : all) kill(pid, SIGSTOP);
  sleep_ms(static_cast<int64_t>(2000 * kTimeout));
  for (const pid_t pid : all) kill(pid, SIGCONT);
  ASSERT_TRUE(within(60, [&] { return !job.running(); }));
  EXPECT_EQ(job.status(), 0) << job.output();
  EXPECT_EQ(job.last_line(), "");
  EXPECT_TRUE(last_checkpoint(folder + "/run") == last_checkpoint(dir_ + "straight/run"));
}

TEST_F(Faults, ASlowRankIsWarnedOfByName) {
  const std::string folder = dir_ + "slow";
  Job job(folder, ranks(kRanks, flags(folder + "/run")), "SADDLE_FAULT='slow 2 20'");
  ASSERT_TRUE(within(60, [&] { return !job.running(); }));
  EXPECT_EQ(job.status(), 0);
  const auto warnings = lines_of(job.output(), "");
  EXPECT_THAT(warnings, testing::Contains(ContainsRegex("\\[rank 2\\] warning:.*\\(" + host() +
                                                        "\\) is slow: [5-9][0-9]\\.[0-9] ms a step")))
      << job.output();
  EXPECT_TRUE(last_checkpoint(folder + "/run") == last_checkpoint(dir_ + "straight/run"));
}

}  // namespace
}  // namespace saddle
