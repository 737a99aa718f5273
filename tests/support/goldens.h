// Numbers computed by the authors' reference code, in tests/goldens or in the folder that SADDLE_GOLDENS
// names.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dist/error.h"
#include "dist/file.h"
#include "dist/safetensors.h"

namespace saddle::test {

struct Golden {
  std::map<std::string, torch::Tensor> tensors;
  nlohmann::json about;  // the file's metadata

  bool has(const std::string& name) const { return tensors.contains(name); }
  const torch::Tensor& operator[](const std::string& name) const { return tensors.at(name); }
  // What stands behind "prefix." in the names that begin so.
  std::vector<std::string> names(const std::string& prefix) const {
    std::vector<std::string> found;
    for (const auto& [name, tensor] : tensors)
      if (name.starts_with(prefix)) found.push_back(name.substr(prefix.size()));
    return found;
  }
  int64_t number(const std::string& key) const { return std::stoll(about.at(key).get<std::string>()); }
  double real(const std::string& key) const { return std::stod(about.at(key).get<std::string>()); }
  std::vector<int64_t> list(const std::string& key) const {
    return nlohmann::json::parse(about.at(key).get<std::string>()).get<std::vector<int64_t>>();
  }
};

inline std::filesystem::path goldens_folder() {
  const char* named = std::getenv("SADDLE_GOLDENS");
  return named && *named ? named : SADDLE_SOURCE_DIR "/tests/goldens";
}

// Files whose names begin and end so, at least one.
inline std::vector<std::filesystem::path> golden_files(const std::string& begin, const std::string& end) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(goldens_folder())) {
    const std::string name = entry.path().filename();
    if (name.starts_with(begin) && name.ends_with(end)) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  EXPECT_FALSE(found.empty()) << "no " << begin << "*" << end << " in " << goldens_folder();
  return found;
}

inline Golden read_golden(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  const auto header = nlohmann::json::parse(bytes.substr(sizeof length, length));
  return {read_safetensors(path), header.value("__metadata__", nlohmann::json::object())};
}

// Largest difference in parts of the largest value.
inline double apart(const torch::Tensor& ours, const torch::Tensor& theirs) {
  EXPECT_EQ(ours.numel(), theirs.numel());
  const torch::Tensor a = ours.detach().flatten().to(torch::kDouble), b = theirs.flatten().to(torch::kDouble);
  return ((a - b).abs().max() / b.abs().max().clamp_min(1e-12)).item<double>();
}

}  // namespace saddle::test
