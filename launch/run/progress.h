// One line a tick for whoever watches: redrawn in place on a terminal, a new line otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "dist/stats.h"

namespace saddle {

class Progress {
 public:
  Progress(int64_t first_step, int64_t steps);
  // "step 1200/3000  40%  412 images/s  D 0.61  G 1.93  ETA 4m10s"
  // `substituted` samples stood in for damaged ones; said if there are any.
  void tick(int64_t step, double images_per_second, const std::vector<Moments>& stats,
            int64_t substituted = 0);
  void done();  // ends the line

 private:
  std::string eta(int64_t step) const;
  int64_t first_step_, steps_;
  bool terminal_;
  std::chrono::steady_clock::time_point start_;
};

std::string duration_text(double seconds);  // "45s", "4m10s", "2h05m"

}  // namespace saddle
