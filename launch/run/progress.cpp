#include "launch/run/progress.h"

#include <unistd.h>

#include <iostream>

#include "dist/log.h"

namespace saddle {
namespace {

// What is for the log alone: the line of a terminal holds losses.
bool is_detail(const std::string& name) {
  return name.starts_with("gradient/") || name.starts_with("D/");
}

}  // namespace

Progress::Progress(int64_t first_step, int64_t steps)
    : first_step_(first_step),
      steps_(steps),
      terminal_(isatty(STDERR_FILENO)),
      start_(std::chrono::steady_clock::now()) {}

void Progress::tick(int64_t step, double images_per_second, const std::vector<Moments>& stats,
                    int64_t substituted) {
  std::string line =
      fmt::format("step {}/{}  {}%  {:.0f} images/s", step, steps_, 100 * step / steps_, images_per_second);
  for (const Moments& m : stats)
    if (!is_detail(m.name))
      line += fmt::format("  {} {:.3f}", m.name.starts_with("loss/") ? m.name.substr(5) : m.name, m.mean);
  if (substituted > 0) line += fmt::format("  {} damaged samples replaced", substituted);
  line += "  ETA " + eta(step);
  if (terminal_)
    std::cerr << "\r\033[K" << line << std::flush;
  else
    log::info("{}", line);
}

void Progress::done() {
  if (terminal_) std::cerr << std::endl;
}

std::string Progress::eta(int64_t step) const {
  const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  return duration_text(elapsed / static_cast<double>(std::max<int64_t>(1, step - first_step_)) *
                       static_cast<double>(steps_ - step));
}

std::string duration_text(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
  return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
}

}  // namespace saddle
