// A data set: random access to samples by global index.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "data/schema.h"

namespace saddle {

// Where one field of a sample goes. A null row is not wanted.
struct Place {
  void* row = nullptr;  // Field::bytes() of them; a variable field is padded with zeros
  int64_t length = 0;   // the reader sets it for variable fields
};

std::string length_name(const Field& field);  // "<name>_length", beside a variable field in a batch

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual const Schema& schema() const = 0;
  virtual int64_t size() const = 0;
  // Sample `index` of [0, size) to its places, one for each field of the schema, in the schema's dtypes.
  // Returns whether another sample stands in for a damaged one. Thread-safe.
  virtual bool read_sample(int64_t index, std::span<Place> places) const = 0;
  // A hint that these are read soon, for storage that can fetch ahead. Returns at once; thread-safe.
  virtual void prefetch(const std::vector<int64_t>& indices) const {}
  // Where the data came from: {"source": ..., for generated mixtures "centers", "sigma"}; see data/FORMAT.md.
  virtual const nlohmann::json& provenance() const = 0;
  // Hash of the content, equal for equal data sets; runs record it and refuse to resume on another.
  virtual std::string fingerprint() const = 0;
  // What samples stand in for because it could not be opened: a line for each.
  virtual std::vector<std::string> damage() const { return {}; }

  // Samples in the order asked, on the host, in the schema's dtypes; `<name>_length` beside variable fields.
  Batch read(const std::vector<int64_t>& indices) const;
};

// How shards are read.
struct ReadOptions {
  double verify = 1;      // share of the samples, chosen by index, whose checksums are compared
  bool skip_bad = false;  // another sample stands in for a damaged one; else Exit::data
};

// A folder made by `saddle pack`. Checks every shard's presence, size and header now, and a sample's checksum
// when it is read. Exit::data names the shard, field and sample.
//
// With `skip_bad` a sample that cannot be read is replaced as a whole by one that its index alone decides, so
// that all ranks and resumed runs agree; Exit::data if nothing can be read.
std::shared_ptr<Dataset> open_shards(const std::string& folder, const ReadOptions& options = {});
// Tensors [N, ...] in memory, `<name>_length` beside variable fields; for tests and small sets.
std::shared_ptr<Dataset> in_memory(Schema schema, Batch samples, nlohmann::json provenance = {});

}  // namespace saddle
