// A training step played event by event on a number of ranks.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace saddle::bench {

// Compute of one rank, `seconds` long, and the collectives that it enters, in order of `at`.
struct Pass {
  struct Entry {
    double at;  // seconds of compute before it
    int64_t bytes;
    bool overlaps;  // else compute waits for it
  };
  double seconds = 0;
  std::vector<Entry> entries = {};
};

// A step is its passes, each of which ends when its last collective does.
struct Workload {
  std::vector<Pass> passes;
  double jitter = 0;  // standard deviation of a rank's compute in a step, seconds
  double compute() const;
  Workload scaled(double factor) const;  // all compute and its jitter
};

struct Prediction {
  double step = 0;  // seconds: compute + exposed + straggling
  double compute = 0;
  double exposed = 0;     // waiting for collectives
  double straggling = 0;  // waiting for the slowest of n ranks: jitter * sqrt(2 ln n)
  double efficiency() const { return step > 0 ? compute / step : 1; }
};

// `cost` gives the seconds of an all-reduce of so many bytes. One channel serves collectives in order of
// entry.
Prediction simulate(const Workload& workload, int ranks, const std::function<double(int64_t bytes)>& cost);

}  // namespace saddle::bench
