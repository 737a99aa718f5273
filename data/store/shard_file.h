// A shard as HDF5 sees it: written, and asked where its parts are. Samples are read by Shard, without HDF5.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/schema.h"
#include "data/store/index.h"

namespace saddle {

// One field of all samples of a shard.
struct Column {
  std::vector<char> data = {};           // [count, shape...]; of a variable field [rows of all, shape[1:]...]
  std::vector<uint64_t> checksums = {};  // [count]
  std::vector<int64_t> ends = {};        // [count] of a variable field: rows up to and with each sample
};

// Hash of the checksums of a shard, field by field.
std::string shard_digest(const std::vector<Column>& columns);

// Writes `path` and syncs it; Exit::io with the reason. On a full disk HDF5 may report success, so only
// reading the file back proves it. `compress` is deflate's level, 0 for none. Equal columns give equal bytes.
void write_shard(const std::string& path, const Schema& schema, const std::vector<Column>& columns,
                 int64_t compress = 0);

// What the shard says of itself and HDF5 of its parts; `file` is the name without the folder. Exit::data
// names the path if it is damaged or of another schema.
ShardInfo read_header(const std::string& path, const Schema& schema);

std::string hdf5_version();  // of the library in use: "1.10.8"

}  // namespace saddle
