#include "launch/doctor/world.h"

#include <cstdlib>
#include <map>

namespace saddle::doctor {

Claims claims(const std::function<const char*(const char*)>& variable) {
  const auto claim = [&](const char* name) -> std::optional<Claim> {
    const char* value = variable(name);
    return value ? std::optional(Claim{name, std::atoll(value)}) : std::nullopt;
  };
  Claims found;
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"})
    if (const auto ranks = claim(name)) found.ranks.push_back(*ranks);
  found.local_rank = claim("OMPI_COMM_WORLD_LOCAL_RANK");
  if (const auto tasks = claim("SLURM_STEP_NUM_TASKS"); tasks && found.ranks.empty()) {
    found.ranks.push_back(*tasks);
    found.local_rank = claim("SLURM_LOCALID");
  }
  found.job = claim("SLURM_NTASKS");
  return found;
}

Verdict judge_world(const std::vector<std::string>& hosts, int64_t local_rank, const Claims& claims) {
  const auto size = int64_t(hosts.size());
  std::string places;
  for (const auto& [host, ranks] : by_host(hosts))
    places += fmt::format("{}{}: {}", places.empty() ? "" : ", ", host, ranks.size());
  const std::string found = fmt::format("{} rank{} ({})", size, plural(size), places);
  for (const auto& [variable, ranks] : claims.ranks)
    if (ranks != size)
      return {Status::failure, fmt::format("MPI has {}, but {}={}", found, variable, ranks),
              "the ranks do not find each other: start with the mpirun of the OpenMPI that saddle is built "
              "with, or srun --mpi=pmix; or unset the variable if it is an old one"};
  if (claims.local_rank && claims.local_rank->value != local_rank)
    return {Status::failure,
            fmt::format("MPI calls a rank number {} of its host, but {}={}", local_rank,
                        claims.local_rank->variable, claims.local_rank->value),
            "ranks would take each other's GPUs: unset the variable if it is an old one, or let either Slurm "
            "or mpirun place the ranks"};
  if (claims.job && claims.job->value != size)
    return {Status::warning, fmt::format("{}, but {}={}", found, claims.job->variable, claims.job->value),
            "the Slurm job was given other tasks than ranks: start them with srun --mpi=pmix or mpirun, or "
            "ignore this if it is meant"};
  return {Status::ok, found};
}

Verdict judge_world(const Comm& comm) {
  return judge_world(comm.all_gather_text(comm.host(), "hosts"), comm.local_rank(),
                     claims([](const char* name) { return std::getenv(name); }));
}

Lines check_world(const Comm& comm) {
  return {{"world", judge_world(comm)}};
}

}  // namespace saddle::doctor
