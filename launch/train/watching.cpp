#include "launch/train/watching.h"

#include <algorithm>
#include <sstream>

#include "dist/agree.h"
#include "dist/error.h"
#include "dist/flight.h"
#include "dist/log.h"

namespace saddle {
namespace {

constexpr double kFirstStep = 10;  // times the usual limit: allocation, autotuning, cold caches
constexpr double kSlower = 1.5;    // times the median rank, and by so many milliseconds: a straggler
constexpr double kSlowerMs = 5;
constexpr int kSlowTicks = 2;  // in a row, after the first, are worth a warning; one, not more

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<int64_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace

TraceSteps parse_trace(const std::string& text) {
  TraceSteps steps;
  char colon = 0;
  std::istringstream in(text.starts_with("steps=") ? text.substr(6) : "");
  in >> steps.from >> colon >> steps.until;
  require(!in.fail() && in.eof() && colon == ':' && steps.from >= 0 && steps.from < steps.until, Exit::usage,
          "--trace expects steps=FROM:UNTIL, such as steps=100:110, found '{}'", text);
  return steps;
}

int straggler(const std::vector<double>& medians) {
  const auto slowest = std::max_element(medians.begin(), medians.end());
  // Of two ranks the median is the faster one.
  const double usual = percentile(medians, medians.size() == 2 ? 0 : 0.5);
  return *slowest > kSlower * usual && *slowest > usual + kSlowerMs
             ? static_cast<int>(slowest - medians.begin())
             : -1;
}

Watching::Watching(Trainer& trainer, const TrainOptions& options, TraceSteps trace, std::string trace_file)
    : trainer_(trainer), options_(options), trace_(trace), trace_file_(std::move(trace_file)) {
  flight::limit(kFirstStep * options_.watch_timeout);
}

void Watching::before_step() {
  if (trace_.from < trace_.until && trainer_.steps() == trace_.from) trace::start();
  began_ = trace::now();
  waited_ = flight::waited();
}

void Watching::after_step() {
  const double took = trace::now() - began_;
  busy_.push_back(took - (flight::waited() - waited_));
  longest_ = std::max(longest_, took);
  flight::limit(std::max(options_.watch_timeout, 20 * longest_));
  const int64_t steps = trainer_.steps();
  if (trace_.from < trace_.until && steps == trace_.until) {
    const flight::Doing doing("trace");
    trace::write(trainer_.comm(), trace::stop(), trace_file_);
    log::info("trace of steps {} to {} in {}: open it in https://ui.perfetto.dev or chrome://tracing",
              trace_.from, trace_.until - 1, trace_file_);
  }
  if (options_.digest_every > 0 && steps % options_.digest_every == 0) check_state();
}

void Watching::check_state() {
  if (options_.digest_every == 0 || std::exchange(checked_, trainer_.steps()) == trainer_.steps()) return;
  const flight::Doing doing("digest");
  require_same_state(trainer_.comm(), [&](StateVisitor& v) { trainer_.visit(v); });
}

nlohmann::json Watching::tick() {
  const Comm& comm = trainer_.comm();
  const std::string mine =
      fmt::format("{:.3f} {:.3f}", 1e3 * percentile(busy_, 0.5), 1e3 * percentile(busy_, 0.9));
  busy_.clear();
  longest_ = 0;
  std::vector<double> median, slow;
  for (const std::string& text : comm.all_gather_text(mine, "step times")) {
    std::istringstream in(text);
    in >> median.emplace_back() >> slow.emplace_back();
  }
  const int rank = straggler(median);
  const int before = std::exchange(straggler_, rank);
  slow_ticks_ = rank >= 0 && rank == before ? slow_ticks_ + 1 : 0;
  if (rank == comm.rank() && slow_ticks_ == kSlowTicks)
    log::warn(
        "this rank ({}) is slow: {:.1f} ms a step without waiting for others, the fastest rank {:.1f} ms; is "
        "its host shared, throttled or short of memory?",
        comm.host(), median[rank], *std::min_element(median.begin(), median.end()));
  return {{"median", median}, {"p90", slow}};
}

}  // namespace saddle
