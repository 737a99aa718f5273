// saddle bench scale: steps recorded on the present ranks, played again on more.
#pragma once

#include <string>

#include "launch/bench/recording.h"
#include "launch/bench/simulate.h"

namespace saddle::bench {

struct ScaleOptions {
  TrainingOptions training;
  int ranks = 1024;
  std::string net = "h100";
  double compute_scale = 1;
  double step_seconds = 0;  // 0: as measured
};

// What a rank computed between the waits of a step, and what it entered meanwhile. Time blocked in a
// collective is taken out.
Workload workload(const RecordedStep& step);
// Half the width of the middle 68 % of the values: the standard deviation of a normal distribution.
double spread(std::vector<double> values);

int bench_scale(World& world, const ScaleOptions& options);

}  // namespace saddle::bench
