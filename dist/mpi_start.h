// MPI's start, with its failures told by us.
#pragma once

#include <mpi.h>

#include "dist/launcher.h"

namespace saddle {

// Exit::usage where a launcher has started several processes and told them nothing of each other.
void require_acquainted(const Launcher& launcher);
// Collective over the ranks of the launcher. A communicator of all, to be freed before MPI_Finalize. Where
// OpenMPI cannot start it ends the process itself, after pages of text; a line of ours then says so.
MPI_Comm start_mpi(int& argc, char**& argv, const Launcher& launcher);

}  // namespace saddle
