// What holds for every job of a cluster: a TOML file such as those in cluster/sites.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace saddle {

struct Site {
  std::string account, partition, launcher;
  std::string mem;                                // of a node, such as 64G
  std::vector<std::string> sbatch, srun, mpirun;  // further options
  std::string setup;                              // lines of shell
  std::vector<std::pair<std::string, std::string>> environment;
};
// Exit::usage for what is no such file, or holds what a job script cannot; Exit::io.
Site read_site(const std::string& path);

}  // namespace saddle
