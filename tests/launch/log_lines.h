// The lines of a run's log.jsonl.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace saddle::test {

inline std::vector<nlohmann::json> log_lines(const std::string& run) {
  std::vector<nlohmann::json> lines;
  std::ifstream in(run + "/log.jsonl");
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

// What they say beside times: the same of a run that was stopped and resumed as of the unbroken one.
inline std::vector<nlohmann::json> timeless_log(const std::string& run) {
  std::vector<nlohmann::json> lines = log_lines(run);
  for (auto& line : lines)
    for (const char* key : {"time", "images_per_second", "data_wait", "step_ms", "checkpoints"})
      line.erase(key);
  return lines;
}

}  // namespace saddle::test
