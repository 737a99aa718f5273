// Compute threads of a rank.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dist/comm.h"

namespace saddle {

std::vector<int> allowed_cores();  // by this process's affinity

// Ranks bound to cores of their own use all of those; unbound ranks share the host's.
int64_t fair_threads(int64_t allowed_cores, int64_t ranks_of_host);

struct Threads {
  int64_t count = 1;
  std::string set_by;  // "OMP_NUM_THREADS=4"
};
// How many a rank computes with: the option if it is not 0, else OMP_NUM_THREADS, else its share of the
// cores.
Threads compute_threads(int64_t option, int64_t share);
Threads compute_threads(const Comm& comm, int64_t option = 0);

// Gives this rank its compute threads, on which subnormal numbers count as zero. Warns where threads
// outnumber cores.
void share_cores(const Comm& comm, int64_t option);

}  // namespace saddle
