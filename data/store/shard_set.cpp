// The data set that a folder of shards is: opened, read, and carried on past damage.

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <set>

#include "data/as_integers.h"
#include "data/checksum.h"
#include "data/dataset.h"
#include "data/store/memo.h"
#include "data/store/shard.h"
#include "dist/error.h"
#include "dist/log.h"

namespace saddle {
namespace {

Shard open_shard(const std::string& folder, const Index& index, const ShardInfo& info) {
  return {(std::filesystem::path(folder) / info.file).string(), index.schema, info};
}

// Where sample `index` is.
struct Spot {
  size_t shard;
  int64_t row;
};

// Nets and orders look classes up in tables, whatever the shard says.
void require_classes(const Shard& shard, const Field& field, int64_t row, const void* values, int64_t bytes) {
  const int64_t count = bytes / int64_t(torch::elementSize(field.dtype));
  as_integers(field.dtype, values, count, [&](const auto* value, int64_t n) {
    const auto wrong = std::find_if(
        value, value + n, [&](auto each) { return int64_t(each) < 0 || int64_t(each) >= field.classes; });
    if (wrong != value + n)
      fail(Exit::data, "{}: field {} of sample {}: expected classes below {}, found {}; see `saddle check`",
           shard.path(), field.name, row, field.classes, int64_t(*wrong));
  });
}

// Returns the length of a variable field, which is padded with zeros; 0 of others.
int64_t read_field(const Shard& shard, const Field& field, size_t f, int64_t row, void* to, bool verify) {
  const int64_t length = shard.read(f, row, to, verify), bytes = length * field.row_bytes();
  if (field.classes > 0) require_classes(shard, field, row, to, bytes);
  if (!field.variable) return 0;
  std::memset(static_cast<char*>(to) + bytes, 0, size_t(field.bytes() - bytes));
  return length;
}

class ShardSet final : public Dataset {
 public:
  ShardSet(const std::string& folder, const ReadOptions& options)
      : options_(options), index_(read_index(folder)) {
    for (const ShardInfo& info : index_.shards) {
      shards_.push_back(open(folder, info));
      ends_.push_back((ends_.empty() ? 0 : ends_.back()) + info.count);
    }
    require(damage_.size() < shards_.size() || shards_.empty(), Exit::data,
            "{}: no shard can be read; the first says: {}", folder, damage_.empty() ? "" : damage_.front());
    remember();
  }

  const Schema& schema() const override { return index_.schema; }
  int64_t size() const override { return index_.count; }
  const nlohmann::json& provenance() const override { return index_.provenance; }
  std::string fingerprint() const override { return index_.fingerprint; }
  std::vector<std::string> damage() const override { return damage_; }

  bool read_sample(int64_t index, std::span<Place> places) const override {
    if (!options_.skip_bad) {
      read_own(index, places);
      return false;
    }
    if (!damaged(index, places)) return false;
    for (uint64_t attempt = 1; attempt <= kAttempts; ++attempt)
      if (!damaged(substitute(index, attempt), places)) return true;
    fail(Exit::data, "sample {} is damaged, and so are {} that could stand in for it; see `saddle check`",
         index, kAttempts);
  }

  void prefetch(const std::vector<int64_t>& indices) const override {
    for (const int64_t index : indices) {
      const Spot at = spot(index);
      if (!shards_[at.shard]) continue;
      for (size_t f = 0; f < schema().fields.size(); ++f) shards_[at.shard]->prefetch(f, at.row);
    }
  }

 private:
  static constexpr int64_t kMemoBytes = int64_t{64} << 20;
  static constexpr uint64_t kAttempts = 64;
  static constexpr size_t kWarnings = 100;  // damaged samples that are named

  std::unique_ptr<Shard> open(const std::string& folder, const ShardInfo& info) {
    try {
      return std::make_unique<Shard>(open_shard(folder, index_, info));
    } catch (const Error& error) {
      if (!options_.skip_bad) throw;
      damage_.emplace_back(error.what());
      return nullptr;
    }
  }

  void remember() {
    const auto& fields = schema().fields;
    if (index_.count > kMemoBytes / Memo::kBytes / int64_t(fields.size())) return;
    for (size_t f = 0; f < fields.size(); ++f) memos_.emplace_back(index_.count);
  }

  Spot spot(int64_t index) const {
    require(index >= 0 && index < size(), Exit::bug, "sample {} of {}", index, size());
    const auto shard = size_t(std::upper_bound(ends_.begin(), ends_.end(), index) - ends_.begin());
    return {shard, index - (shard ? ends_[shard - 1] : 0)};
  }

  void read_own(int64_t index, std::span<Place> places) const {
    const Spot at = spot(index);
    const Shard* shard = shards_[at.shard].get();
    if (!shard)
      fail(Exit::data, "sample {} is in {}, which cannot be read", index, index_.shards[at.shard].file);
    for (size_t f = 0; f < places.size(); ++f)
      if (places[f].row) places[f].length = read_one(*shard, f, index, at.row, places[f].row);
  }

  int64_t read_one(const Shard& shard, size_t f, int64_t index, int64_t row, void* to) const {
    const Field& field = schema().fields[f];
    const bool verify = options_.verify >= 1 || chance(index, 0) < options_.verify;
    const bool small = !field.variable && field.bytes() <= int64_t(sizeof(uint64_t));
    if (!small || memos_.empty()) return read_field(shard, field, f, row, to, verify);
    read_small(shard, f, index, row, to, verify);
    return 0;
  }

  // Read once, then kept.
  void read_small(const Shard& shard, size_t f, int64_t index, int64_t row, void* to, bool verify) const {
    const auto bytes = size_t(schema().fields[f].bytes());
    uint64_t word = 0;
    if (const auto known = memos_[f].get(index)) {
      word = *known;
    } else {
      read_field(shard, schema().fields[f], f, row, &word, verify);
      memos_[f].put(index, word);
    }
    std::memcpy(to, &word, bytes);
  }

  // In [0, 1): a function of the sample and of what it is for.
  static double chance(int64_t index, uint64_t purpose) {
    const uint64_t words[] = {uint64_t(index), purpose};
    return double(checksum(words, sizeof words) >> 11) * 0x1p-53;
  }

  int64_t substitute(int64_t index, uint64_t attempt) const {
    return int64_t(chance(index, attempt) * double(size()));
  }

  // A shard that cannot be opened is known; another sample is only found out by reading it.
  bool damaged(int64_t index, std::span<Place> places) const {
    if (!shards_[spot(index).shard]) return true;
    try {
      read_own(index, places);
      return false;
    } catch (const Error& error) {
      if (error.kind != Exit::data) throw;
      warn_once(index, error.what());
      return true;
    }
  }

  void warn_once(int64_t index, const char* what) const {
    const std::lock_guard lock(mutex_);
    if (warned_.size() >= kWarnings || !warned_.insert(index).second) return;
    log::warn("another sample stands in for {}: {}{}", index, what,
              warned_.size() == kWarnings ? "; further ones are not named" : "");
  }

  const ReadOptions options_;
  const Index index_;
  std::vector<std::string> damage_;
  std::vector<std::unique_ptr<Shard>> shards_;  // null: cannot be opened
  std::vector<int64_t> ends_;                   // the first index after each shard
  std::vector<Memo> memos_;                     // by field; empty if they would take too much
  mutable std::mutex mutex_;                    // guards what follows
  mutable std::set<int64_t> warned_;
};

}  // namespace

std::shared_ptr<Dataset> open_shards(const std::string& folder, const ReadOptions& options) {
  return std::make_shared<ShardSet>(folder, options);
}

}  // namespace saddle
