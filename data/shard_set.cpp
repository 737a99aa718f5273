// The data set that a folder of shards is.

#include <algorithm>
#include <filesystem>

#include "data/checksum.h"
#include "data/dataset.h"
#include "data/shard_file.h"
#include "dist/error.h"

namespace saddle {
namespace {

Shard open_shard(const std::string& folder, const Index& index, const ShardInfo& info) {
  return {(std::filesystem::path(folder) / info.file).string(), index.schema, info};
}

class ShardSet final : public Dataset {
 public:
  explicit ShardSet(const std::string& folder) : index_(read_index(folder)) {
    for (const ShardInfo& info : index_.shards) {
      shards_.push_back(open_shard(folder, index_, info));
      ends_.push_back((ends_.empty() ? 0 : ends_.back()) + info.count);
    }
  }

  const Schema& schema() const override { return index_.schema; }
  int64_t size() const override { return index_.count; }
  const nlohmann::json& provenance() const override { return index_.provenance; }
  std::string fingerprint() const override { return index_.fingerprint; }

  Batch read(const std::vector<int64_t>& indices) const override {
    Batch out;
    for (size_t f = 0; f < schema().fields.size(); ++f) {
      const Field& field = schema().fields[f];
      out.set(field.name, gather(f, indices));
      if (field.variable) out.set(field.name + "_length", lengths(f, indices));
    }
    return out;
  }

 private:
  torch::Tensor gather(size_t f, const std::vector<int64_t>& indices) const {
    const Field& field = schema().fields[f];
    torch::Tensor out = empty_rows(field, int64_t(indices.size()));
    if (field.variable) out.zero_();
    char* to = static_cast<char*>(out.mutable_data_ptr());
    for (size_t i = 0; i < indices.size(); ++i) read_one(f, indices[i], to + int64_t(i) * field.bytes());
    return out;
  }

  torch::Tensor lengths(size_t f, const std::vector<int64_t>& indices) const {
    torch::Tensor out = torch::empty({int64_t(indices.size())}, torch::kLong);
    for (size_t i = 0; i < indices.size(); ++i) {
      const auto [shard, row] = place(indices[i]);
      out.data_ptr<int64_t>()[i] = shard->length(f, row);
    }
    return out;
  }

  void read_one(size_t f, int64_t index, char* to) const {
    const auto [shard, row] = place(index);
    shard->read(f, row, to);
  }

  std::pair<const Shard*, int64_t> place(int64_t index) const {
    require(index >= 0 && index < size(), Exit::bug, "sample {} of {}", index, size());
    const auto shard = size_t(std::upper_bound(ends_.begin(), ends_.end(), index) - ends_.begin());
    return {&shards_[shard], index - (shard ? ends_[shard - 1] : 0)};
  }

  Index index_;
  std::vector<Shard> shards_;
  std::vector<int64_t> ends_;  // the first index after each shard
};

}  // namespace

std::shared_ptr<Dataset> open_shards(const std::string& folder) {
  return std::make_shared<ShardSet>(folder);
}

}  // namespace saddle
