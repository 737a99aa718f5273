// saddle bench step: where the time of a training step goes.
#pragma once

#include <map>

#include "launch/bench/recording.h"

namespace saddle::bench {

// Seconds.
struct Split {
  double forward = 0, backward = 0, exposed = 0, optimizer = 0;
  double communication = 0;  // while a reduction of gradients is under way; known on the cpu
  double hidden() const {    // share of it
    return communication > 0 ? std::max(0.0, 1 - exposed / communication) : 0;
  }
};

struct StepSplit {
  double total = 0, data = 0, blocked = 0;  // blocked: in collectives within forward and backward
  std::map<std::string, Split> phases;
  Split sum() const;
  double other() const;
  double compute() const;  // without waiting for other ranks
};

StepSplit split(const RecordedStep& step);
// Part by part.
StepSplit median(const std::vector<StepSplit>& steps);

int bench_step(World& world, const TrainingOptions& options);

}  // namespace saddle::bench
