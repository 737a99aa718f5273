// The audit of a folder of shards for `saddle check`. The reader is open_shards in dataset.h.
#pragma once

#include <string>
#include <vector>

#include "data/index.h"
#include "data/shard.h"

namespace saddle {

// Everything wrong with a folder, one line each; reads every byte. Exit::data if there is no index.
struct Audit {
  Index index;
  std::vector<std::string> problems = {};
  std::vector<std::vector<int64_t>> per_class = {};  // by field; empty for fields that are no labels
};
Audit audit(const std::string& folder);

}  // namespace saddle
