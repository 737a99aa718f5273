// Statistics of a run: report(name, tensor) adds to moments on the device, without a host synchronisation;
// once a tick they are summed over all ranks.
#pragma once

#include <string>
#include <vector>

#include "dist/comm.h"

namespace saddle {

struct Moments {
  std::string name;
  double mean = 0, stddev = 0;  // over all elements reported by all ranks since the last tick
  int64_t count = 0;
};

class Stats {
 public:
  // Every element of `values` counts, `weight` times. All ranks report the same names between two ticks.
  void report(const std::string& name, const torch::Tensor& values, int64_t weight = 1);
  // Collective. In the order of first report; forgets them. Exit::bug if ranks reported different names.
  std::vector<Moments> tick(const Comm& comm);

 private:
  std::vector<std::pair<std::string, torch::Tensor>> sums_;  // name, float64 [3]: count, sum, sum of squares
};

}  // namespace saddle
