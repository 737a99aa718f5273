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
  bool introduces = false;   // the ranks to each other, in words that OpenMPI understands

  // Whether there are other ranks than this process, as far as it has been told. All else is a plain process.
  bool several() const;
  bool first() const { return !several() || !rank || rank->value == 0; }  // speaks before the ranks have met
};

// mpirun inside a Slurm job leaves srun's variables in its ranks' environment: those count only without its
// own. `in_shell`: a command in the terminal's shell of `srun --pty`, whose variables say what the shell is.
Launcher launcher(const std::function<const char*(const char*)>& variable, bool in_shell = false);
Launcher launcher();  // of this process

}  // namespace saddle
