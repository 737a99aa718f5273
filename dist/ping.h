// The links between ranks, one pair at a time: round trips, bandwidth, and how far apart the clocks are.
#pragma once

#include <vector>

#include "dist/comm.h"

namespace saddle {

struct Link {
  int a = 0, b = 0;             // ranks, a < b
  double seconds = 0;           // the shortest round trip of 8 bytes
  double bytes_per_second = 0;  // at best, of 1 MiB messages that travel both ways at once
};

// Who meets whom: as many rounds as it takes for every pair of `size` ranks to meet once, each rank at most
// once a round (the circle method of round-robin tournaments). Pure.
std::vector<std::vector<Link>> tournament(int size);

// Collective. All pairs, on rank 0; empty elsewhere. Of `trips` attempts the best counts, so that a busy
// core spoils nothing. The pairs of a round measure at once, as they would communicate.
std::vector<Link> pairwise(const Comm& comm, int trips = 20);

// Collective. Seconds by which each rank's wall clock is ahead of rank 0's, to within half the shortest of a
// few round trips; by rank, on rank 0; empty elsewhere.
std::vector<double> clock_offsets(const Comm& comm);

}  // namespace saddle
