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
  // Every element of `values` counts, `weight` times. All ranks report the same names in the same order. The
  // sums of a name are one tensor for good, added to in place, so that a captured step can report.
  void report(const std::string& name, const torch::Tensor& values, int64_t weight = 1);
  // Collective. In the order of first report, those of which something counted since the last tick. Exit::bug
  // if ranks reported different names.
  std::vector<Moments> tick(const Comm& comm);

 private:
  const torch::Tensor& slot(const std::string& name, torch::Device device);
  std::vector<std::pair<std::string, torch::Tensor>> sums_;  // name, float64 [3]: count, sum, sum of squares
};

}  // namespace saddle
