#include "launch/run/versions.h"

#include <torch/headeronly/version.h>

#include "data/store/shard_file.h"
#include "dist/comm.h"
#include "dist/cuda/load.h"

namespace saddle {

nlohmann::json versions() {
  return {{"saddle", SADDLE_VERSION},
          {"LibTorch", TORCH_VERSION},
          {"MPI", mpi_version()},
          {"HDF5", hdf5_version()},
          {"CUDA and NCCL", cuda_versions()}};
}

std::string version_text() {
  std::string text = fmt::format("saddle {}\n", SADDLE_VERSION);
  const nlohmann::json all = versions();
  for (const char* name : {"LibTorch", "CUDA and NCCL", "MPI", "HDF5"})
    text += fmt::format("{}: {}\n", name, all[name].get<std::string>());
  return text;
}

}  // namespace saddle
