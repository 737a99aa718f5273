#include "launch/cores.h"

#include <ATen/Parallel.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "dist/log.h"

namespace saddle {

std::vector<int> allowed_cores() {
  cpu_set_t set;
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {0};
  for (int c = 0; c < CPU_SETSIZE; ++c)
    if (CPU_ISSET(c, &set)) cores.push_back(c);
  return cores;
}

int64_t fair_threads(int64_t allowed_cores, int64_t ranks_of_host) {
  const bool bound = allowed_cores < sysconf(_SC_NPROCESSORS_ONLN);
  return bound ? allowed_cores : std::max<int64_t>(1, allowed_cores / ranks_of_host);
}

void share_cores(const Comm& comm, int64_t threads) {
  const int64_t fair = fair_threads(static_cast<int64_t>(allowed_cores().size()), comm.local_size());
  at::set_num_threads(static_cast<int>(threads > 0 ? threads : fair));
  if (threads > fair)
    log::warn(
        "{} threads a rank, but only {} cores for each: expect it to be slow; with OpenMPI, --bind-to none "
        "frees the cores",
        threads, fair);
}

}  // namespace saddle
