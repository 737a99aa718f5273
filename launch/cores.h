// Compute threads of a rank.
#pragma once

#include <cstdint>

#include "dist/comm.h"

namespace saddle {

// Gives this rank `threads` compute threads; 0: its fair share of the cores. Ranks bound to cores of their
// own use all of those; unbound ranks share the host's. Warns where threads outnumber cores.
void share_cores(const Comm& comm, int64_t threads);

}  // namespace saddle
