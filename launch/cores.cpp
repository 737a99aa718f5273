#include "launch/cores.h"

#include <ATen/Parallel.h>
#include <sched.h>

#include <algorithm>
#include <thread>

#include "dist/log.h"

namespace saddle {
namespace {

int allowed_cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

}  // namespace

void share_cores(const Comm& comm, int64_t threads) {
  const int cores = allowed_cores();
  const bool bound = cores < static_cast<int>(std::thread::hardware_concurrency());
  const int64_t fair = bound ? cores : std::max(1, cores / comm.local_size());
  at::set_num_threads(static_cast<int>(threads > 0 ? threads : fair));
  if (threads > fair)
    log::warn(
        "{} threads a rank, but only {} cores for each: expect it to be slow; with OpenMPI, --bind-to none "
        "frees the cores",
        threads, fair);
}

}  // namespace saddle
