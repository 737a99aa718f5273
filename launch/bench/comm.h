// saddle bench comm: latency and bandwidth of the collectives as the trainer calls them.
#pragma once

#include <string>
#include <vector>

#include "dist/comm.h"
#include "launch/bench/network.h"

namespace saddle::bench {

struct CommOptions {
  int64_t min = int64_t{1} << 10, max = int64_t{1} << 28;  // bytes
  int64_t iterations = 0;                                  // a size; 0: about half a second of them
  std::string device = "auto", out;
  bool json = false;
};

// A collective of one size. As in nccl-tests: `bytes` is what ends up on a rank, an all-gather's whole
// result.
struct Measured {
  std::string collective;
  int64_t bytes;
  double seconds;  // median, on the slowest rank
  int64_t wrong;   // elements that are not what they should be, over all ranks

  double algorithm_bandwidth() const { return static_cast<double>(bytes) / seconds; }
  double bus_bandwidth(int ranks) const;  // what a link carries: see bus_factor
};

// Bytes that cross each rank's link by bytes of the result: all-reduce 2(n-1)/n, all-gather (n-1)/n,
// broadcast 1.
double bus_factor(const std::string& collective, int ranks);

// seconds = latency + bytes / bandwidth.
struct Line {
  double latency, bandwidth;
};
// Least squares of the relative errors, so that small sizes count as much as large ones.
Line fit(const std::vector<Measured>& points);

// Collective. One of "all_reduce", "broadcast", "all_gather".
Measured measure(const Comm& comm, const std::string& collective, int64_t bytes, int64_t iterations);
// What was measured as a network that further ranks extend: its latency is that of the ring's 2(n-1) hops.
Network network_of(const Line& line, const Comm& comm);

int bench_comm(World& world, const CommOptions& options);

}  // namespace saddle::bench
