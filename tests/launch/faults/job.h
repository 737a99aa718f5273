// A job under mpirun as a test sees it: what it printed, its processes, and how it ended.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <sstream>
#include <thread>

#include "dist/file.h"

namespace saddle::test {

namespace fs = std::filesystem;
using Clock = fs::file_time_type::clock;

constexpr int kRanks = 4;
constexpr double kTimeout = 3;  // watch.timeout
constexpr double kSoon = 10;    // seconds until a job must have ended, after the watchdog's patience
constexpr int64_t kSteps = 60;

inline double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

inline void sleep_ms(int64_t ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

template <class Done>
bool within(double seconds, Done done) {
  const auto start = Clock::now();
  while (!done()) {
    if (since(start) > seconds) return false;
    sleep_ms(5);
  }
  return true;
}

inline std::string read_all(const std::string& path) {
  return fs::exists(path) ? read_file(path) : std::string();
}

inline std::vector<std::string> lines_of(const std::string& text, const std::string& start = "") {
  std::vector<std::string> found;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(start)) found.push_back(line);
  return found;
}

inline std::string host() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

inline std::string rank_name(int rank) {
  return fmt::format("rank {} ({})", rank, host());
}

// One mpirun and all it started; they carry a mark in their environment.
class Job {
 public:
  // `arguments` of `launcher`; `environment`: "NAME=VALUE ...". Temporary files go to `folder`/tmp.
  Job(std::string folder, const std::string& arguments, const std::string& environment = "",
      const std::string& launcher = "mpirun --oversubscribe --bind-to none")
      : folder_(std::move(folder)), mark_("SADDLE_FAULT_JOB=" + folder_) {
    fs::create_directories(folder_ + "/tmp");
    const std::string command = fmt::format(
        "{} {} SADDLE_FAULT_MARK={}/mark TMPDIR={}/tmp OMPI_MCA_btl_vader_backing_directory={}/tmp exec {} "
        "{}",
        environment, mark_, folder_, folder_, folder_, launcher, arguments);
    pid_ = fork();
    if (pid_ > 0) return;
    const int out = open((folder_ + "/output").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    dup2(open("/dev/null", O_RDONLY), 0);
    dup2(out, 1);
    dup2(out, 2);
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  ~Job() {
    if (running())
      for (const pid_t pid : processes()) kill(pid, SIGKILL);
    if (!status_) waitpid(pid_, nullptr, 0);
  }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  bool running() {
    int status = 0;
    if (!status_ && waitpid(pid_, &status, WNOHANG) == pid_)
      status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return !status_;
  }
  void signal(int number) const { kill(pid_, number); }  // to the launcher
  int status() const { return status_.value_or(-1); }
  std::string output() const { return read_all(folder_ + "/output"); }
  std::string last_line() const {
    const auto lines = lines_of(output(), "saddle:");
    return lines.empty() ? "" : lines.back();
  }
  // When the fault was injected.
  std::optional<Clock::time_point> injected() const {
    std::error_code none;
    const auto time = fs::last_write_time(folder_ + "/mark", none);
    return none ? std::nullopt : std::optional(time);
  }
  // All that carry the mark, mpirun too; or only the process of a rank.
  std::vector<pid_t> processes(int rank = -1) const {
    std::vector<pid_t> found;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      const std::string environment = '\0' + environment_of(name);
      const auto carries = [&](const std::string& text) {
        return environment.find('\0' + text + '\0') != std::string::npos;
      };
      if (carries(mark_) && (rank < 0 || carries(fmt::format("OMPI_COMM_WORLD_RANK={}", rank))))
        found.push_back(std::stoi(name));
    }
    return found;
  }
  std::vector<std::string> temporary_files() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ + "/tmp"))
      if (!entry.is_directory()) found.push_back(entry.path());
    return found;
  }

 private:
  static std::string environment_of(const std::string& pid) {
    std::ifstream in("/proc/" + pid + "/environ", std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::string folder_, mark_;
  pid_t pid_ = -1;
  std::optional<int> status_;
};

// The step that a run's log has come to.
inline int64_t logged_step(const std::string& run) {
  const auto lines = lines_of(read_all(run + "/log.jsonl"));
  if (lines.empty()) return 0;
  const auto last = nlohmann::json::parse(lines.back(), nullptr, false);
  return last.is_object() ? last.value("step", int64_t{0}) : 0;
}

// Small runs of saddle_faulty (faulty_system.cpp) in a folder of their own, and the straight one to compare
// with.
class JobTest : public testing::Test {
 protected:
  static inline std::string dir_;
  static inline std::mt19937 random_{std::random_device{}()};

  // SADDLE_FAULT_REPEATS: how often what is left to chance is tried.
  static int repeats() {
    const char* value = std::getenv("SADDLE_FAULT_REPEATS");
    return value ? std::atoi(value) : 1;
  }

  static std::string folder() {  // of the test that runs
    return dir_ + testing::UnitTest::GetInstance()->current_test_info()->name();
  }
  static std::string run_of(const std::string& folder) { return folder + "/run"; }
  static std::string ranks(int n, const std::string& arguments, const std::string& program = SADDLE_FAULTY) {
    return fmt::format("-n {} {} train {}", n, program, arguments);
  }
  static std::string flags(const std::string& out, const std::string& recipe = "recipe") {
    return fmt::format("{}{}.toml --data {}ring --out {}", dir_, recipe, dir_, out);
  }
  static void write_recipe(const std::string& name, const std::string& system, const std::string& more = "") {
    write_file(dir_ + name + ".toml",
               fmt::format("system = \"{}\"\nsteps = {}\nbatch = 16\nthreads = 1\nlatent = 16\n"
                           "g.width = 8\nd.width = 8\nwatch.timeout = {}\ntick.every = 5\ndigest.every = 5\n"
                           "sample.every = 0\ncheckpoint.every = 10\ncheckpoint.keep = 10\n{}",
                           system, kSteps, kTimeout, more));
  }
  static void run(const std::string& folder, const std::string& arguments) {
    Job job(folder, arguments);
    ASSERT_TRUE(within(120, [&] { return !job.running(); })) << job.output();
    ASSERT_EQ(job.status(), 0) << job.output();
  }

  static void SetUpTestSuite() {
    dir_ = fmt::format("{}saddle_faults_{}/", testing::TempDir(), ::getpid());
    fs::create_directories(dir_ + "elsewhere");
    run(dir_ + "pack", "-n 1 " SADDLE_BINARY " pack ring8 --samples 2000 --seed 1 --out " + dir_ + "ring");
    run(dir_ + "pack2",
        "-n 1 " SADDLE_BINARY " pack ring8 --samples 2000 --seed 2 --out " + dir_ + "elsewhere/ring");
    write_recipe("recipe", "faulty");
    write_recipe("other", "faulty", "g.lr = 0.123\n");
    write_recipe("plain", "gan-ns");
    run(dir_ + "straight", ranks(kRanks, flags(dir_ + "straight/run")));
  }
  static void TearDownTestSuite() { fs::remove_all(dir_); }

  // The state in the last checkpoint: files of tensors by name, and the manifest's numbers.
  static std::map<std::string, std::string> last_checkpoint(const std::string& run) {
    std::map<std::string, std::string> state;
    const std::string folder = fmt::format("{}/checkpoints/step-{:010}", run, kSteps);
    if (!fs::exists(folder)) return state;
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".safetensors")
        state[entry.path().filename()] = read_file(entry.path());
    state["numbers"] = nlohmann::json::parse(read_file(folder + "/manifest.json")).at("numbers").dump();
    return state;
  }

  static bool resumes_to_the_same_state(const std::string& folder) {
    run(folder + "/resumed", ranks(kRanks, flags(folder + "/run") + " --resume"));
    for (const auto& entry : fs::recursive_directory_iterator(folder + "/run"))
      EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
    const auto straight = last_checkpoint(dir_ + "straight/run");
    EXPECT_FALSE(straight.empty());
    return straight == last_checkpoint(folder + "/run");
  }
};

}  // namespace saddle::test
