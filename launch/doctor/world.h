// The world that the ranks form, against what their launcher says of it.
#pragma once

#include <optional>

#include "launch/doctor/report.h"

namespace saddle::doctor {

Lines check_world(const Comm& comm);  // collective

// What a launcher says in the environment: "SLURM_STEP_NUM_TASKS", 4.
struct Claim {
  std::string variable;
  int64_t value;
};
struct Claims {
  std::vector<Claim> ranks;         // of the world, by whoever started this process
  std::optional<Claim> local_rank;  // likewise
  std::optional<Claim> job;         // tasks of the Slurm job around it, not all of which need be one world
};
// mpirun inside a Slurm job leaves srun's variables in its ranks' environment: those count only without its
// own.
Claims claims(const std::function<const char*(const char*)>& variable);
// What MPI says, host by rank, against that.
Verdict judge_world(const std::vector<std::string>& hosts, int64_t local_rank, const Claims& claims);
Verdict judge_world(const Comm& comm);  // collective; this rank's verdict

}  // namespace saddle::doctor
