// Shards on their way to disk. A shard appears under its final name when it was read back whole; the folder
// is a data set when its index is written, last.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/store/index.h"
#include "data/store/shard_file.h"

namespace saddle {

// The samples of one shard, in memory: put in any order, from several threads at once, each slot at most
// once. Slots that stay empty are left out.
class ShardBuilder {
 public:
  ShardBuilder(const Schema& schema, int64_t slots);
  // Sample `i` of a batch on the host, in the schema's dtypes; of a variable field any length up to shape[0].
  void put(int64_t slot, const Batch& samples, int64_t i = 0);
  std::vector<Column> columns() &&;  // the slots in order

 private:
  const Schema& schema_;
  std::vector<Column> columns_;                      // of fixed fields, slot by slot
  std::vector<std::vector<std::vector<char>>> own_;  // [field][slot], of variable fields
  std::vector<char> full_;                           // by slot
};

// Writes shard `number` under a temporary name, syncs it, reads it back and renames it. Exit::io.
ShardInfo publish_shard(const std::string& folder, int64_t number, const Schema& schema,
                        const std::vector<Column>& columns, int64_t compress = 0);
// A shard that publish_shard left there, verified to the last byte; none if it is missing or damaged.
std::optional<ShardInfo> published_shard(const std::string& folder, int64_t number, const Schema& schema);
// Makes published shards a data set: counts, fingerprint, index. Exit::data if there is no sample.
Index publish_index(const std::string& folder, const Schema& schema, const std::vector<ShardInfo>& shards,
                    const nlohmann::json& provenance);
// Deletes index and shards, nothing else; the index first, so that no half of a data set looks whole.
void remove_shards(const std::string& folder);

// One after another, for generated and small sets: a shard at a time in memory.
class ShardWriter {
 public:
  ShardWriter(std::string folder, Schema schema, int64_t shard_bytes, int64_t compress = 0);
  void append(const Batch& samples);  // as ShardBuilder::put, all of them
  Index finish(const nlohmann::json& provenance);

 private:
  void roll();

  std::string folder_;
  Schema schema_;
  int64_t capacity_;  // samples a shard
  int64_t compress_;
  std::optional<ShardBuilder> builder_;
  int64_t held_ = 0;  // samples in builder_
  std::vector<ShardInfo> shards_;
};

int64_t shard_capacity(const Schema& schema, int64_t shard_bytes);  // in samples, at least 1

}  // namespace saddle
