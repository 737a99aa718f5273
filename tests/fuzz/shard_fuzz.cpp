// dataset.json, a zero byte, then a shard. File, size and, if the flag before them is odd, digest are made to
// fit: else hardly an input would come past them.
#include <cstring>
#include <vector>

#include "data/checksum.h"
#include "data/store/index.h"
#include "data/store/shard.h"
#include "tests/fuzz/fuzz.h"

namespace saddle::fuzz {
namespace {

void make_digest_fit(ShardInfo& info, std::string_view bytes) {
  std::vector<Column> columns(info.extents.size());
  for (size_t f = 0; f < columns.size(); ++f) {
    const int64_t at = info.extents[f].checksums;
    if (at > int64_t(bytes.size()) || info.count > (int64_t(bytes.size()) - at) / 8) return;
    columns[f].checksums.resize(size_t(info.count));
    if (info.count) std::memcpy(columns[f].checksums.data(), bytes.data() + at, size_t(info.count) * 8);
  }
  info.digest = shard_digest(columns);
}

void read_rows(const Shard& shard, const Schema& schema, bool verify) {
  constexpr int64_t kMost = int64_t{1} << 26;  // bytes of a sample: callers have room for those
  std::vector<char> row;
  for (size_t f = 0; f < schema.fields.size(); ++f)
    for (int64_t i = 0; i < std::min<int64_t>(shard.count(), 64); ++i)
      survive([&] {
        const int64_t length = shard.length(f, i), each = schema.fields[f].row_bytes();
        if (length && each > kMost / length) return;
        row.resize(size_t(length * each));
        shard.prefetch(f, i);
        shard.read(f, i, row.data(), verify);
      });
}

void run(std::string_view input) {
  if (input.empty()) return;
  const uint8_t flags = uint8_t(input[0]);
  const size_t end = std::min(input.size(), input.find('\0', 1));
  const std::string_view bytes = input.substr(std::min(input.size(), end + 1));
  survive([&] {
    const Index index = parse_index(std::string(input.substr(1, end - 1)));
    static_cast<void>(describe(index.schema));
    const std::string path = put("shard.h5", bytes);
    size_t opened = 0;
    for (ShardInfo info : index.shards) {
      if (info.extents.empty() || ++opened > 4) continue;  // those are HDF5's to find
      info.bytes = int64_t(bytes.size());
      if (flags & 1) make_digest_fit(info, bytes);
      survive([&] { read_rows(Shard(path, index.schema, info), index.schema, flags & 2); });
      if (flags & 4) survive([&] { verify_shard(path, index.schema, info); });
    }
  });
}

}  // namespace
}  // namespace saddle::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  saddle::fuzz::run(saddle::fuzz::view(data, size));
  return 0;
}
