#include "data/shard_set.h"

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

// One field of one sample: its checksum and, for a label, its range.
void audit_sample(Audit& audit, const Shard& shard, const ShardInfo& info, size_t f, int64_t row,
                  std::vector<char>& sample) {
  const Field& field = audit.index.schema.fields[f];
  shard.read(f, row, sample.data());
  if (field.classes == 0) return;
  const int64_t label = *reinterpret_cast<const int64_t*>(sample.data());
  require(label >= 0 && label < field.classes, Exit::data,
          "{}: field {} of sample {}: expected a label below {}, found {}", info.file, field.name, row,
          field.classes, label);
  ++audit.per_class[f][size_t(label)];
}

void audit_shard(Audit& audit, const Shard& shard, const ShardInfo& info, Fingerprint& fingerprint) {
  shard.compare_with_hdf5(audit.index.schema);
  const auto& fields = audit.index.schema.fields;
  std::vector<std::vector<char>> samples;
  for (const Field& field : fields) samples.emplace_back(field.bytes());
  std::vector<Column> columns(fields.size());
  for (int64_t row = 0; row < info.count; ++row)
    for (size_t f = 0; f < fields.size(); ++f) try {
        columns[f].checksums.push_back(shard.stored_checksum(f, row));
        fingerprint.add(columns[f].checksums.back());
        audit_sample(audit, shard, info, f, row, samples[f]);
      } catch (const Error& error) {
        audit.problems.push_back(error.what());
      }
  const std::string found = shard_digest(columns);
  if (found != info.digest)
    audit.problems.push_back(fmt::format("{}: its checksums are damaged: expected digest {}, found {}",
                                         info.file, info.digest, found));
}

}  // namespace

std::shared_ptr<Dataset> open_shards(const std::string& folder) {
  return std::make_shared<ShardSet>(folder);
}

Audit audit(const std::string& folder) {
  Audit audit{.index = read_index(folder)};
  for (const Field& field : audit.index.schema.fields) audit.per_class.emplace_back(field.classes);
  Fingerprint fingerprint(audit.index.schema);
  for (const ShardInfo& info : audit.index.shards) try {
      audit_shard(audit, open_shard(folder, audit.index, info), info, fingerprint);
    } catch (const Error& error) {
      audit.problems.push_back(error.what());
    }
  if (audit.problems.empty() && fingerprint.text() != audit.index.fingerprint)
    audit.problems.push_back(
        fmt::format("{}: expected fingerprint {}, found {}: shards are in another order or replaced",
                    kIndexFile, audit.index.fingerprint, fingerprint.text()));
  return audit;
}

}  // namespace saddle
