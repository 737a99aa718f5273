#include "launch/bench/simulate.h"

#include <algorithm>
#include <cmath>

namespace saddle::bench {

double Workload::compute() const {
  double sum = 0;
  for (const Pass& pass : passes) sum += pass.seconds;
  return sum;
}

Workload Workload::scaled(double factor) const {
  Workload made = *this;
  made.jitter *= factor;
  for (Pass& pass : made.passes) {
    pass.seconds *= factor;
    for (Pass::Entry& entry : pass.entries) entry.at *= factor;
  }
  return made;
}

Prediction simulate(const Workload& workload, int ranks, const std::function<double(int64_t bytes)>& cost) {
  double clock = 0, free = 0;  // free: when the channel has served what was entered
  for (const Pass& pass : workload.passes) {
    double computed = 0;
    for (const Pass::Entry& entry : pass.entries) {
      clock += entry.at - computed;
      computed = entry.at;
      free = std::max(free, clock) + cost(entry.bytes);
      if (!entry.overlaps) clock = free;
    }
    clock = std::max(clock + pass.seconds - computed, free);
  }
  Prediction made{.compute = workload.compute()};
  made.exposed = clock - made.compute;
  made.straggling = ranks > 1 ? workload.jitter * std::sqrt(2 * std::log(ranks)) : 0;
  made.step = clock + made.straggling;
  return made;
}

}  // namespace saddle::bench
