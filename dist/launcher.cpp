#include "dist/launcher.h"

#include <cstdlib>

namespace saddle {

Launcher launcher(const std::function<const char*(const char*)>& variable) {
  const auto claim = [&](const char* name) -> std::optional<Claim> {
    const char* value = variable(name);
    return value ? std::optional(Claim{name, std::atoll(value)}) : std::nullopt;
  };
  Launcher found;
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"})
    if (const auto ranks = claim(name)) found.ranks.push_back(*ranks);
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"})
    if (!found.rank) found.rank = claim(name);
  found.local_rank = claim("OMPI_COMM_WORLD_LOCAL_RANK");
  if (const auto tasks = claim("SLURM_STEP_NUM_TASKS"); tasks && found.ranks.empty()) {
    found.ranks.push_back(*tasks);
    found.local_rank = claim("SLURM_LOCALID");
  }
  found.job = claim("SLURM_NTASKS");
  for (const char* name : {"PMIX_RANK", "PMI_RANK", "PMI_FD", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE"})
    found.introduces = found.introduces || variable(name);
  return found;
}

Launcher launcher() {
  return launcher([](const char* name) { return std::getenv(name); });
}

}  // namespace saddle
