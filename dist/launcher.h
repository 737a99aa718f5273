// What mpirun and srun say to each process that they start, in its environment.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace saddle {

// "SLURM_STEP_NUM_TASKS", 4.
struct Claim {
  std::string variable;
  int64_t value;
};

struct Launcher {
  std::vector<Claim> ranks;  // of the world, by whoever started this process; none: it was started plainly
  std::optional<Claim> rank, local_rank;  // likewise
  std::optional<Claim> job;  // tasks of the Slurm job around it, not all of which need be one world
  bool introduces = false;   // the ranks to each other (PMIx, PMI)

  bool first() const { return !rank || rank->value == 0; }  // who speaks before the ranks have met
};

// mpirun inside a Slurm job leaves srun's variables in its ranks' environment: those count only without its
// own.
Launcher launcher(const std::function<const char*(const char*)>& variable);
Launcher launcher();  // of this process

}  // namespace saddle
