#include <filesystem>

#include "data/shard_set.h"
#include "dist/error.h"
#include "dist/file.h"

namespace saddle {
namespace {

int64_t sample_bytes(const Schema& schema) {
  int64_t sum = 0;
  for (const Field& field : schema.fields) sum += field.bytes() + int64_t(sizeof(uint64_t));
  return sum;
}

// Reads the file back: on a full disk HDF5 may have lost samples without a word.
void verify(const std::string& path, const Schema& schema, const ShardInfo& info) {
  const Shard shard(path, schema, info);
  for (size_t f = 0; f < schema.fields.size(); ++f) {
    std::vector<char> sample(schema.fields[f].bytes());
    for (int64_t row = 0; row < info.count; ++row) shard.read(f, row, sample.data());
  }
}

bool is_ours(const std::string& name) {
  return name.starts_with(kIndexFile) ||
         (name.starts_with("shard-") && name.find(".h5") != std::string::npos);
}

}  // namespace

ShardWriter::ShardWriter(std::string folder, Schema schema, int64_t shard_bytes)
    : folder_(std::move(folder)),
      capacity_(std::max<int64_t>(1, shard_bytes / sample_bytes(schema))),
      index_{.schema = std::move(schema)},
      fingerprint_(index_.schema),
      columns_(index_.schema.fields.size()) {}

void ShardWriter::append(const Batch& samples) {
  const auto& fields = index_.schema.fields;
  for (int64_t i = 0; i < samples.size(); ++i) {
    for (size_t f = 0; f < fields.size(); ++f) {
      const torch::Tensor& all = samples[fields[f].name];
      TORCH_INTERNAL_ASSERT(all.scalar_type() == fields[f].dtype && all.is_contiguous() &&
                            all[i].sizes() == fields[f].shape);
      const char* from = static_cast<const char*>(all.const_data_ptr()) + i * fields[f].bytes();
      columns_[f].data.insert(columns_[f].data.end(), from, from + fields[f].bytes());
      columns_[f].checksums.push_back(checksum(from, size_t(fields[f].bytes())));
      fingerprint_.add(columns_[f].checksums.back());
    }
    ++index_.count;
    if (int64_t(columns_[0].checksums.size()) == capacity_) roll();
  }
}

void ShardWriter::roll() {
  if (columns_[0].checksums.empty()) return;
  ShardInfo info{.file = shard_name(int64_t(index_.shards.size())),
                 .count = int64_t(columns_[0].checksums.size()),
                 .digest = shard_digest(columns_)};
  const std::string path = (std::filesystem::path(folder_) / info.file).string(), draft = path + ".tmp";
  write_shard(draft, index_.schema, columns_);
  info.bytes = int64_t(std::filesystem::file_size(draft));
  try {
    verify(draft, index_.schema, info);
  } catch (const Error& error) {
    fail(Exit::io, "what was just written does not read back, is the disk full? {}", error.what());
  }
  std::filesystem::rename(draft, path);
  index_.shards.push_back(info);
  for (Column& column : columns_) column.data.clear(), column.checksums.clear();
}

Index ShardWriter::finish(const nlohmann::json& provenance) {
  roll();
  require(index_.count > 0, Exit::data, "{}: no sample to write", folder_);
  index_.fingerprint = fingerprint_.text();
  index_.provenance = provenance;
  sync_folder(folder_);
  write_index(folder_, index_);
  return index_;
}

void remove_shards(const std::string& folder) {
  namespace fs = std::filesystem;
  fs::remove(fs::path(folder) / kIndexFile);
  std::vector<fs::path> ours;
  for (const auto& entry : fs::directory_iterator(folder))
    if (is_ours(entry.path().filename())) ours.push_back(entry.path());
  for (const auto& path : ours) fs::remove(path);
}

}  // namespace saddle
