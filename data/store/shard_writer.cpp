#include "data/store/shard_writer.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>

#include "data/checksum.h"
#include "data/store/shard.h"
#include "dist/error.h"
#include "dist/file.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

std::string path_of(const std::string& folder, int64_t number) {
  return (fs::path(folder) / shard_name(number)).string();
}

bool is_ours(const std::string& name) {
  return name.starts_with(kIndexFile) ||
         (name.starts_with("shard-") && name.find(".h5") != std::string::npos);
}

// Closes the gaps that empty slots left between rows of `bytes`.
template <class T>
void compact(std::vector<T>& rows, size_t bytes, const std::vector<char>& full) {
  size_t to = 0;
  for (size_t slot = 0; slot < full.size(); ++slot) {
    if (!full[slot]) continue;
    if (to != slot) std::memmove(rows.data() + to * bytes, rows.data() + slot * bytes, bytes * sizeof(T));
    ++to;
  }
  rows.resize(to * bytes);
}

struct Removed {
  ~Removed() { std::remove(path.c_str()); }
  const std::string& path;
};

}  // namespace

ShardBuilder::ShardBuilder(const Schema& schema, int64_t slots)
    : schema_(schema), columns_(schema.fields.size()), own_(schema.fields.size()), full_(size_t(slots)) {
  for (size_t f = 0; f < schema.fields.size(); ++f) {
    columns_[f].checksums.resize(size_t(slots));
    if (schema.fields[f].variable)
      own_[f].resize(size_t(slots));
    else
      columns_[f].data.resize(size_t(slots * schema.fields[f].bytes()));
  }
}

void ShardBuilder::put(int64_t slot, const Batch& samples, int64_t i) {
  for (size_t f = 0; f < schema_.fields.size(); ++f) {
    const Field& field = schema_.fields[f];
    const torch::Tensor& all = samples[field.name];
    const torch::Tensor one = all[i];
    std::vector<int64_t> shape = field.shape;
    if (field.variable && one.dim() > 0) shape[0] = one.size(0);
    require(all.scalar_type() == field.dtype && all.is_contiguous() && one.sizes() == shape &&
                one.numel() <= field.elements(),
            Exit::bug, "sample has {} [{}], the schema says {}", torch::toString(all.scalar_type()),
            fmt::join(one.sizes(), ", "), describe(Schema{{field}}));
    const char* from = static_cast<const char*>(one.const_data_ptr());
    const size_t bytes = size_t(one.nbytes());
    if (field.variable)
      own_[f][size_t(slot)].assign(from, from + bytes);
    else if (bytes)
      std::memcpy(columns_[f].data.data() + size_t(slot) * bytes, from, bytes);
    columns_[f].checksums[size_t(slot)] = checksum(from, bytes);
  }
  full_[size_t(slot)] = 1;
}

std::vector<Column> ShardBuilder::columns() && {
  for (size_t f = 0; f < columns_.size(); ++f) {
    Column& column = columns_[f];
    const Field& field = schema_.fields[f];
    compact(column.checksums, 1, full_);
    if (!field.variable) {
      compact(column.data, size_t(field.bytes()), full_);
      continue;
    }
    for (size_t slot = 0; slot < full_.size(); ++slot) {
      if (!full_[slot]) continue;
      const auto& own = own_[f][slot];
      column.data.insert(column.data.end(), own.begin(), own.end());
      column.ends.push_back(int64_t(column.data.size()) / field.row_bytes());
    }
  }
  return std::move(columns_);
}

ShardInfo publish_shard(const std::string& folder, int64_t number, const Schema& schema,
                        const std::vector<Column>& columns, int64_t compress) {
  const std::string path = path_of(folder, number), draft = path + ".tmp";
  ShardInfo info;
  const Removed removed{draft};  // also what a failure leaves
  write_shard(draft, schema, columns, compress);
  try {
    info = read_header(draft, schema);
    require(info.digest == shard_digest(columns), Exit::data, "{}: expected digest {}, found {}", draft,
            shard_digest(columns), info.digest);
    verify_shard(draft, schema, info);
  } catch (const Error& error) {
    fail(Exit::io, "what was just written does not read back, is the disk full? {}", error.what());
  }
  fs::rename(draft, path);
  info.file = shard_name(number);
  return info;
}

std::optional<ShardInfo> published_shard(const std::string& folder, int64_t number,
                                         const Schema& schema) try {
  const std::string path = path_of(folder, number);
  if (!fs::exists(path)) return {};
  const ShardInfo info = read_header(path, schema);
  verify_shard(path, schema, info);
  return info;
} catch (const Error& error) {
  if (error.kind != Exit::data) throw;
  return {};
}

Index publish_index(const std::string& folder, const Schema& schema, const std::vector<ShardInfo>& shards,
                    const nlohmann::json& provenance) {
  Index index{.schema = schema, .shards = shards, .provenance = provenance};
  Fingerprint fingerprint(schema);
  for (const ShardInfo& info : shards) {
    const Shard shard((fs::path(folder) / info.file).string(), schema, info);
    for (int64_t row = 0; row < info.count; ++row)
      for (size_t f = 0; f < schema.fields.size(); ++f) fingerprint.add(shard.stored_checksum(f, row));
    index.count += info.count;
  }
  require(index.count > 0, Exit::data, "{}: no sample to write", folder);
  index.fingerprint = fingerprint.text();
  sync_folder(folder);
  write_index(folder, index);
  return index;
}

void remove_shards(const std::string& folder) {
  fs::remove(fs::path(folder) / kIndexFile);
  std::vector<fs::path> ours;
  for (const auto& entry : fs::directory_iterator(folder))
    if (is_ours(entry.path().filename())) ours.push_back(entry.path());
  for (const auto& path : ours) fs::remove(path);
}

int64_t shard_capacity(const Schema& schema, int64_t shard_bytes) {
  const int64_t words = int64_t(schema.fields.size() * sizeof(uint64_t));  // the checksums
  return std::max<int64_t>(1, shard_bytes / (schema.sample_bytes() + words));
}

ShardWriter::ShardWriter(std::string folder, Schema schema, int64_t shard_bytes, int64_t compress)
    : folder_(std::move(folder)),
      schema_(std::move(schema)),
      capacity_(shard_capacity(schema_, shard_bytes)),
      compress_(compress) {}

void ShardWriter::append(const Batch& samples) {
  for (int64_t i = 0; i < samples.size(); ++i) {
    if (!builder_) builder_.emplace(schema_, capacity_);
    builder_->put(held_++, samples, i);
    if (held_ == capacity_) roll();
  }
}

void ShardWriter::roll() {
  if (held_ == 0) return;
  const std::vector<Column> columns = std::move(*builder_).columns();
  shards_.push_back(publish_shard(folder_, int64_t(shards_.size()), schema_, columns, compress_));
  builder_.reset();
  held_ = 0;
}

Index ShardWriter::finish(const nlohmann::json& provenance) {
  roll();
  return publish_index(folder_, schema_, shards_, provenance);
}

}  // namespace saddle
