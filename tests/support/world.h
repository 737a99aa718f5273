// What test programs under mpirun share.
#pragma once

#include "dist/comm.h"

namespace saddle::test {

World& world();  // only in programs with RANKS

}  // namespace saddle::test
