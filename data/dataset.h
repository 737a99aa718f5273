// A data set: random access to samples by global index.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/schema.h"

namespace saddle {

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual const Schema& schema() const = 0;
  virtual int64_t size() const = 0;
  // Samples by index in [0, size), in the order asked, on the host in the schema's dtypes. Thread-safe.
  virtual Batch read(const std::vector<int64_t>& indices) const = 0;
  // A hint that these are read soon, for storage that can fetch ahead. Returns at once; thread-safe.
  virtual void prefetch(const std::vector<int64_t>& indices) const {}
  // Where the data came from: {"source": ..., for generated mixtures "centers", "sigma"}; see data/FORMAT.md.
  virtual const nlohmann::json& provenance() const = 0;
  // Hash of the content, equal for equal data sets; runs record it and refuse to resume on another.
  virtual std::string fingerprint() const = 0;
};

// A folder made by `saddle pack`. Checks every shard's presence, size and header now, and a chunk's checksum
// when it is read. Exit::data names the shard.
std::shared_ptr<Dataset> open_shards(const std::string& folder);
// Tensors [N, ...] in memory; for tests and small sets.
std::shared_ptr<Dataset> in_memory(Schema schema, Batch samples, nlohmann::json provenance = {});

}  // namespace saddle
