// One shard: a plain HDF5 file of contiguous little-endian datasets and a checksum per sample and field; see
// FORMAT.md. HDF5 writes it and says where its parts are; samples are read by pread, 200 times as fast as
// through HDF5's chunks and free of its global lock.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/index.h"
#include "data/schema.h"

namespace saddle {

// One field of all samples of a shard, as it lies in the file.
struct Column {
  std::vector<char> data;           // [count, shape...]
  std::vector<uint64_t> checksums;  // [count]
};

// Hash of the checksums of a shard, field by field.
std::string shard_digest(const std::vector<Column>& columns);

// Writes `path` and syncs it; Exit::io with the reason. On a full disk HDF5 may report success, so only
// reading the file back (Shard) proves it.
void write_shard(const std::string& path, const Schema& schema, const std::vector<Column>& columns);

std::string hdf5_version();  // of the library in use: "1.10.8"

// An open shard, read only. Thread-safe.
class Shard {
 public:
  // Checks size, header, schema, count and digest against what the index says. Exit::data names the file.
  Shard(const std::string& path, const Schema& schema, const ShardInfo& expected);
  ~Shard();
  Shard(Shard&& other) noexcept;
  Shard& operator=(Shard&&) = delete;

  int64_t count() const { return count_; }
  uint64_t stored_checksum(size_t field, int64_t row) const;
  // Field number `field` of sample `row` into `to`. Exit::data names shard, field and sample.
  void read(size_t field, int64_t row, void* to, bool verify = true) const;

 private:
  struct Extent {
    int64_t data, checksums;  // offsets in the file
  };
  void locate(const Schema& schema, const ShardInfo& expected);
  void read_at(int64_t offset, void* to, int64_t bytes) const;

  std::string path_;
  int64_t count_;
  std::vector<Field> fields_;
  std::vector<Extent> extents_;
  int descriptor_ = -1;
};

}  // namespace saddle
