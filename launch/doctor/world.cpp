#include "launch/doctor/world.h"

#include <map>

namespace saddle::doctor {

Verdict verdict_on_world(const std::vector<std::string>& hosts, int64_t local_rank,
                         const Launcher& launcher) {
  const auto size = int64_t(hosts.size());
  std::string places;
  for (const auto& [host, ranks] : by_host(hosts))
    places += fmt::format("{}{}: {}", places.empty() ? "" : ", ", host, ranks.size());
  const std::string found = fmt::format("{} rank{} ({})", size, plural(size), places);
  for (const auto& [variable, ranks] : launcher.ranks)
    if (ranks != size)
      return {Status::failure, fmt::format("MPI has {}, but {}={}", found, variable, ranks),
              "the ranks do not find each other: start with the mpirun of the OpenMPI that saddle is built "
              "with, or srun --mpi=pmix; or unset the variable if it is an old one"};
  if (launcher.local_rank && launcher.local_rank->value != local_rank)
    return {Status::failure,
            fmt::format("MPI calls a rank number {} of its host, but {}={}", local_rank,
                        launcher.local_rank->variable, launcher.local_rank->value),
            "ranks would take each other's GPUs: unset the variable if it is an old one, or let either Slurm "
            "or mpirun place the ranks"};
  if (launcher.job && launcher.job->value != size)
    return {Status::warning, fmt::format("{}, but {}={}", found, launcher.job->variable, launcher.job->value),
            "the Slurm job was given other tasks than ranks: start them with srun --mpi=pmix or mpirun, or "
            "ignore this if it is meant"};
  return {Status::ok, found};
}

Verdict verdict_on_world(const Comm& comm) {
  return verdict_on_world(comm.all_gather_text(comm.host(), "hosts"), comm.local_rank(), launcher());
}

Lines check_world(const Comm& comm) {
  return {{"world", verdict_on_world(comm)}};
}

}  // namespace saddle::doctor
