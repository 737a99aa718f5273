// What must be the same on all ranks, and who differs when it is not.
#pragma once

#include "dist/comm.h"
#include "dist/error.h"
#include "dist/state.h"

namespace saddle {

// Collective. Throws on all ranks if `mine` is not the same on all: `what` it is ("options"), the first line
// that differs, and on which ranks of the minority.
void require_same(const Comm& comm, const std::string& what, const std::string& mine,
                  Exit kind = Exit::usage);

// Collective. Compares a digest of the state; Exit::bug on all ranks, naming the first item that differs and
// the ranks of the minority, if replicas have drifted apart.
void require_same_state(const Comm& comm, const Visit& state);

}  // namespace saddle
