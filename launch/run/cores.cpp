#include "launch/run/cores.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "dist/log.h"

namespace saddle {
namespace {

int64_t share_of(const Comm& comm) {
  return fair_threads(static_cast<int64_t>(allowed_cores().size()), comm.local_size());
}

// On this thread and all that compute with it: gradients of a game that D has won are subnormal, and a
// processor works on these some hundred times as long.
void flush_subnormals(int64_t threads) {
  at::globalContext().setFlushDenormal(true);
  at::parallel_for(0, threads, 1, [](int64_t, int64_t) { at::globalContext().setFlushDenormal(true); });
}

}  // namespace

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

Threads compute_threads(int64_t option, int64_t share) {
  if (option > 0) return {option, fmt::format("threads={}", option)};
  const char* variable = std::getenv("OMP_NUM_THREADS");
  const int64_t asked = variable ? std::atoll(variable) : 0;  // of "4,2", for nested regions, the first
  if (asked > 0) return {asked, fmt::format("OMP_NUM_THREADS={}", variable)};
  return {share, "its share of the cores"};
}

Threads compute_threads(const Comm& comm, int64_t option) {
  return compute_threads(option, share_of(comm));
}

void share_cores(const Comm& comm, int64_t option) {
  const int64_t share = share_of(comm);
  const Threads threads = compute_threads(option, share);
  at::set_num_threads(static_cast<int>(threads.count));
  flush_subnormals(threads.count);
  if (threads.count > share)
    log::warn(
        "{} threads a rank ({}), but only {} cores for each: expect it to be slow; with OpenMPI, --bind-to "
        "none frees the cores",
        threads.count, threads.set_by, share);
}

}  // namespace saddle
