#include "data/progress.h"

#include <unistd.h>

#include <cstdio>

#include "dist/log.h"

namespace saddle {

PassProgress::PassProgress(std::string doing, int64_t samples, bool show)
    : doing_(std::move(doing)), total_(samples), show_(show), terminal_(isatty(STDERR_FILENO) != 0) {}

PassProgress::~PassProgress() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
}

void PassProgress::add(int64_t samples, int64_t bytes) {
  const std::lock_guard lock(mutex_);
  done_ += samples;
  bytes_ += bytes;
  const double now = std::chrono::duration<double>(Clock::now() - start_).count();
  if (show_ && now >= next_ && done_ > 0) print(now);
}

void PassProgress::print(double now) {
  const double rate = double(done_) / now, left = double(total_ - done_) / rate;
  std::string line = fmt::format("{} {} of {} samples, {:.0f}/s, ", doing_, done_, total_, rate);
  if (bytes_ > 0) line += fmt::format("{:.0f} MB/s, ", double(bytes_) / now / 1e6);
  line += fmt::format("{:.0f} s left", left);
  if (terminal_) std::fputs(fmt::format("\r{}\x1b[K", line).c_str(), stderr), drawn_ = true;
  if (!terminal_) log::info("{}", line);
  next_ = now + (terminal_ ? 0.2 : 10);
}

}  // namespace saddle
