// Compute threads of a rank.
#pragma once

#include <cstdint>
#include <vector>

#include "dist/comm.h"

namespace saddle {

std::vector<int> allowed_cores();  // by this process's affinity

// Ranks bound to cores of their own use all of those; unbound ranks share the host's.
int64_t fair_threads(int64_t allowed_cores, int64_t ranks_of_host);

// Gives this rank `threads` compute threads; 0: its fair share of the cores. Warns where threads outnumber
// cores.
void share_cores(const Comm& comm, int64_t threads);

}  // namespace saddle
