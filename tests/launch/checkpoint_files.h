// What lies in a run's folder, for tests of the program.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <string>

#include "dist/safetensors.h"

namespace saddle::test {

inline std::string checkpoint_folder(const std::string& run, int64_t step) {
  return fmt::format("{}/checkpoints/step-{:010}", run, step);
}

inline std::map<std::string, torch::Tensor> checkpoint_tensors(const std::string& run, int64_t step) {
  std::map<std::string, torch::Tensor> all;
  for (const auto& entry : std::filesystem::directory_iterator(checkpoint_folder(run, step)))
    if (entry.path().extension() == ".safetensors") all.merge(read_safetensors(entry.path().string()));
  return all;
}

}  // namespace saddle::test
