#include "dist/launcher.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace saddle {
namespace {

// A task of srun has no terminal, or is itself the first process of the one that --pty gave it.
bool in_shell_of_srun() {
  if (!std::getenv("SLURM_PTY_PORT") || getsid(0) == getpid()) return false;
  const int terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal >= 0) close(terminal);
  return terminal >= 0;
}

}  // namespace

bool Launcher::several() const {
  if (ranks.empty()) return introduces;
  return std::any_of(ranks.begin(), ranks.end(), [](const Claim& c) { return c.value > 1; });
}

Launcher launcher(const std::function<const char*(const char*)>& variable, bool in_shell) {
  const auto claim = [&](const char* name) -> std::optional<Claim> {
    const char* value = variable(name);
    return value ? std::optional(Claim{name, std::atoll(value)}) : std::nullopt;
  };
  Launcher found;
  found.job = claim("SLURM_NTASKS");
  const bool by_mpirun = variable("OMPI_COMM_WORLD_SIZE"),
             by_srun = variable("SLURM_STEP_NUM_TASKS") && !by_mpirun;
  if (by_srun && in_shell) return found;
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"})
    if (const auto ranks = claim(name)) found.ranks.push_back(*ranks);
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"})
    if (!found.rank) found.rank = claim(name);
  found.local_rank = claim("OMPI_COMM_WORLD_LOCAL_RANK");
  if (by_srun) {
    if (found.ranks.empty()) found.ranks.push_back(*claim("SLURM_STEP_NUM_TASKS"));
    found.local_rank = claim("SLURM_LOCALID");
  }
  // Of srun OpenMPI understands PMIx only, unless it was built with what preceded it.
  found.introduces = by_mpirun || variable("PMIX_RANK");
  for (const char* name : {"PMI_RANK", "PMI_FD", "PMI_SIZE"})
    found.introduces = found.introduces || (!by_srun && variable(name));
  return found;
}

Launcher launcher() {
  return launcher([](const char* name) { return std::getenv(name); }, in_shell_of_srun());
}

}  // namespace saddle
