// A folder of shards: the writer that `saddle pack` uses. The reader is open_shards in dataset.h, what
// `saddle check` does is in audit.h.
#pragma once

#include <string>
#include <vector>

#include "data/checksum.h"
#include "data/index.h"
#include "data/shard.h"

namespace saddle {

// Holds one shard in memory, so at most about `shard_bytes`. Files appear under their final names only when
// they were read back whole; a folder left by an interrupted pack has no index.
class ShardWriter {
 public:
  ShardWriter(std::string folder, Schema schema, int64_t shard_bytes);
  void append(const Batch& samples);  // on the host, in the schema's dtypes
  Index finish(const nlohmann::json& provenance);
  int64_t count() const { return index_.count; }

 private:
  void roll();

  std::string folder_;
  int64_t capacity_;  // samples a shard
  Index index_;
  Fingerprint fingerprint_;
  std::vector<Column> columns_;
};

// Deletes index and shards, nothing else; the index first, so that no half of a data set looks whole.
void remove_shards(const std::string& folder);

}  // namespace saddle
