// Values that follow the step: a learning rate's decay, a weight's ramp.
#pragma once

#include <cmath>
#include <numbers>
#include <string>

#include "models/options.h"

namespace saddle {

// A value that goes from one to another.
struct Schedule {
  std::string shape = "constant";  // constant, linear, cosine (half a period)
  double final = 0;                // as a multiple of the first value
  int64_t hold = 0;                // steps at the first value
  int64_t until = 0;               // step from which it is the last one; 0: the end of the run

  bool constant() const { return shape == "constant"; }
  // Between `from` and `to` at this step of a run of so many.
  double at(double from, double to, int64_t step, int64_t steps) const {
    const int64_t end = until > 0 ? until : steps;
    if (constant() || step <= hold || end <= hold) return step > hold && !constant() ? to : from;
    const double done = std::min(1.0, static_cast<double>(step - hold) / static_cast<double>(end - hold));
    return from + (to - from) * (shape == "cosine" ? (1 - std::cos(std::numbers::pi * done)) / 2 : done);
  }
};

// Keys `key`.schedule, .final, .hold, .until.
inline void describe(OptionTable& table, const std::string& key, Schedule& schedule) {
  table.add(key + ".schedule", schedule.shape, "how it changes", {"constant", "linear", "cosine"});
  table.add(key + ".final", schedule.final, "what it comes to, as a multiple", {0, 1e6});
  table.add(key + ".hold", schedule.hold, "until this step it stays", {0, 1e12, "steps"});
  table.add(key + ".until", schedule.until, "step of the last value; 0: the end of the run",
            {0, 1e12, "steps"});
}

}  // namespace saddle
