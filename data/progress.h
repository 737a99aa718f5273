// How far a long pass over samples has come: a line on the terminal, or one in the log every ten seconds,
// from the second second on. Nothing for passes that are over by then.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace saddle {

class PassProgress {
 public:
  // `doing` begins the line ("checked"); a rank that does not `show` counts and prints nothing.
  PassProgress(std::string doing, int64_t samples, bool show = true);
  ~PassProgress();  // wipes the line off the terminal
  PassProgress(const PassProgress&) = delete;
  // So many more samples, of so many bytes, are done; from any thread.
  void add(int64_t samples, int64_t bytes = 0);

 private:
  using Clock = std::chrono::steady_clock;
  void print(double now);

  const std::string doing_;
  const int64_t total_;
  const bool show_, terminal_;
  const Clock::time_point start_ = Clock::now();
  std::mutex mutex_;  // guards what follows
  int64_t done_ = 0, bytes_ = 0;
  double next_ = 1;
  bool drawn_ = false;
};

}  // namespace saddle
