#include "launch/run/stopping.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <map>
#include <regex>

#include "dist/error.h"
#include "dist/process.h"
#include "dist/trace.h"

namespace saddle {
namespace {

constexpr std::array kSignals = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGHUP, SIGXCPU};
constexpr double kSameRequest = 1;  // seconds
constexpr double kSpare = 1.5;      // times a checkpoint's cost is kept for the last one

std::atomic<int> first{0};
std::atomic<int64_t> first_at{0};  // nanoseconds
std::array<struct sigaction, kSignals.size()> before;

int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

// The kernel sends these again and again: a terminal's end, and each second beyond a limit of CPU time.
bool repeats(int number) {
  return number == SIGHUP || number == SIGXCPU;
}

// Only what is safe in a handler.
extern "C" void on_signal(int number) {
  int none = 0;
  if (first.compare_exchange_strong(none, number)) {
    first_at = now();
  } else if (!repeats(number) && static_cast<double>(now() - first_at) > kSameRequest * 1e9) {
    _exit(128 + number);
  }
}

bool inherited_from_nohup(int number, const struct sigaction& before) {
  return number == SIGHUP && before.sa_handler == SIG_IGN;
}

}  // namespace

StopSignals::StopSignals() {
  first = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &action, &before[i]);
    if (inherited_from_nohup(kSignals[i], before[i])) sigaction(kSignals[i], &before[i], nullptr);
  }
}

StopSignals::~StopSignals() {
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before[i], nullptr);
  first = 0;
}

int StopSignals::received() {
  return first;
}

double parse_duration(const std::string& text, const std::string& flag) {
  static const std::regex amount("([0-9]+(?:\\.[0-9]+)?)([smhd])");
  static const std::regex clock("(?:([0-9]+)-)?([0-9]+):([0-5][0-9]):([0-5][0-9])");
  static const std::map<std::string, double> units = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
  std::smatch found;
  if (std::regex_match(text, found, amount)) return std::stod(found[1]) * units.at(found[2]);
  require(std::regex_match(text, found, clock), Exit::usage,
          "{} expects a time such as 90s, 30m, 12h, 1d, HH:MM:SS or D-HH:MM:SS, found '{}'", flag, text);
  const double days = found[1].matched ? std::stod(found[1]) : 0;
  return 86400 * days + 3600 * std::stod(found[2]) + 60 * std::stod(found[3]) + std::stod(found[4]);
}

void Agreement::ask(const Flags& mine) {
  const std::array<int64_t, 3> flags = {mine.signalled, mine.late, mine.written};
  sums_ = torch::tensor(at::IntArrayRef(flags), torch::kLong);
  wait_ = host_.all_reduce_async(sums_, "agreement");
}

Agreement::Flags Agreement::agree() {
  wait_();
  const auto* sums = sums_.const_data_ptr<int64_t>();
  return {.signalled = sums[0] > 0, .late = sums[1] > 0, .written = sums[2] == host_.size()};
}

Deadline::Deadline(std::optional<double> seconds) {
  if (seconds) end_ = trace::now() + *seconds - process_age();
}

bool Deadline::late(double step, double checkpoint) const {
  return end_ && trace::now() + step + kSpare * checkpoint > *end_;
}

}  // namespace saddle
