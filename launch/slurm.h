// Batch scripts for Slurm: cluster/slurm/train.sbatch filled in with a job and what its site needs.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace saddle {

// What holds for every job of a cluster: a TOML file such as those in cluster/sites.
struct Site {
  std::string account, partition, launcher;
  std::vector<std::string> sbatch, srun, mpirun;  // further options
  std::string setup;                              // lines of shell
  std::vector<std::pair<std::string, std::string>> environment;
};
// Exit::usage for what is no such file, Exit::io.
Site read_site(const std::string& path);

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
std::string slurm_script(const SlurmJob& job, const Site& site);

std::string slurm_template();  // cluster/slurm/train.sbatch

// As one word of a shell's command line.
std::string quoted(const std::string& word);
std::string quoted(const std::vector<std::string>& words);

}  // namespace saddle
