// Batch scripts for Slurm: cluster/slurm/train.sbatch filled in with a job and what its site needs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/run/site.h"

namespace saddle {

struct SlurmJob {
  std::string name, run;           // run folder, absolute
  std::vector<std::string> train;  // program and arguments but --out and --resume
  std::string launcher = "srun";   // or mpirun
  int64_t nodes = 1, ranks = 1;    // a node
  int64_t gpus = 0;                // a node
  int64_t cpus = 0;                // a rank; 0: not bound
  std::string time;                // as --max-time; empty: the partition's
  int64_t notice = 120;            // seconds before the time limit
  std::string array;               // "0-7": trainings in run/seed-N
};
// Exit::usage for what Slurm or a script cannot take.
std::string slurm_script(const SlurmJob& job, const Site& site);
// Lines: the nodes, ranks, GPUs, cores, memory and time that the job asks for.
std::string slurm_summary(const SlurmJob& job, const Site& site);

std::string slurm_template();  // cluster/slurm/train.sbatch

}  // namespace saddle
