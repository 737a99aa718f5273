// dataset.json, the index of a folder of shards: written last, so a folder without one is not (yet) a data
// set.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/schema.h"

namespace saddle {

struct ShardInfo {
  std::string file = {};  // in the folder of the index
  int64_t count = 0;
  int64_t bytes = 0;        // of the file
  std::string digest = {};  // of the checksums of its samples
};

struct Index {
  Schema schema;
  std::vector<ShardInfo> shards = {};
  int64_t count = 0;
  std::string fingerprint = {};
  nlohmann::json provenance = {};
};

inline constexpr const char* kIndexFile = "dataset.json";
inline constexpr int kFormatVersion = 1;

bool has_index(const std::string& folder);
Index read_index(const std::string& folder);  // Exit::data if there is none or it is malformed
void write_index(const std::string& folder, const Index& index);
std::string shard_name(int64_t number);  // "shard-00000.h5"

}  // namespace saddle
