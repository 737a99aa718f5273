// dataset.json, the index of a folder of shards: written last, so a folder without one is not (yet) a data
// set.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/schema.h"

namespace saddle {

// Where the parts of one field lie in a shard: offsets in the file, in bytes.
struct Extent {
  int64_t bytes = 0;      // of all samples, uncompressed
  int64_t data = 0;       // of the first sample; unused if compressed
  int64_t checksums = 0;  // uint64 [count]
  int64_t ends = 0;       // int64 [count] of a variable field, else unused
  int64_t chunks = 0;  // int64 [chunks, 3] of a compressed field: offset, stored bytes, 1 if stored as it was
  int64_t chunk_bytes = 0;  // of a chunk, uncompressed; 0: not compressed
  bool operator==(const Extent&) const = default;
};

struct ShardInfo {
  std::string file = {};  // in the folder of the index
  int64_t count = 0;
  int64_t bytes = 0;                 // of the file
  std::string digest = {};           // of the checksums of its samples
  std::vector<Extent> extents = {};  // by field; none in format 1, where only HDF5 knows them
};

struct Index {
  Schema schema;
  std::vector<ShardInfo> shards = {};
  int64_t count = 0;
  std::string fingerprint = {};
  nlohmann::json provenance = {};
};

inline constexpr const char* kIndexFile = "dataset.json";
inline constexpr const char* kPlanFile = "packing.json";  // lies there while a pack is under way
inline constexpr int kFormatVersion = 2;                  // written; 1 is read too

bool has_index(const std::string& folder);
Index read_index(const std::string& folder);  // Exit::data if there is none or it is malformed
Index parse_index(const std::string& text);   // what read_index does with the bytes of the file
void write_index(const std::string& folder, const Index& index);
std::string shard_name(int64_t number);  // "shard-00000.h5"

}  // namespace saddle
