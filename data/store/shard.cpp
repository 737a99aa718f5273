#include "data/store/shard.h"

#include <fcntl.h>
#include <libdeflate.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "data/checksum.h"
#include "data/store/shard_file.h"
#include "dist/error.h"

namespace saddle {
namespace {

constexpr int64_t kWord = sizeof(uint64_t);
constexpr int64_t kDeflateMost = 1032;             // times smaller, zlib's limit
constexpr int64_t kPage = 512;                     // checksums
constexpr int64_t kInMemory = int64_t{256} << 20;  // bytes of checksums, all shards together
std::atomic<int64_t> in_memory_bytes = 0;
std::atomic<uint64_t> next_id = 1;

// A data set may have more shards than a process may open files by default.
int open_file(const std::string& path) {
  const auto attempt = [&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); };
  const int descriptor = attempt();
  rlimit limit{};
  if (descriptor >= 0 || errno != EMFILE || getrlimit(RLIMIT_NOFILE, &limit) != 0) return descriptor;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return attempt();
}

// The chunk that this thread inflated last: neighbours in a chunk are often read one after another.
struct Inflated {
  uint64_t shard = 0;
  size_t field = 0;
  int64_t number = -1;
  std::vector<char> stored, bytes;
  std::unique_ptr<libdeflate_decompressor, void (*)(libdeflate_decompressor*)> engine{
      libdeflate_alloc_decompressor(), libdeflate_free_decompressor};
};

}  // namespace

Shard::Shard(const std::string& path, const Schema& schema, const ShardInfo& expected)
    : path_(path), fields_(schema.fields), info_(expected), id_(next_id++) {
  struct stat status {};
  const int reason = stat(path.c_str(), &status) == 0 ? 0 : errno;
  require(reason == 0 && S_ISREG(status.st_mode), Exit::data,
          "{}: expected a shard of {} samples, found no readable file ({}); restore it or pack again with "
          "--force",
          path, info_.count, reason == 0 ? "it is a folder or a device" : std::strerror(reason));
  require(
      status.st_size == info_.bytes, Exit::data,
      "{}: expected {} bytes, found {}; it was cut off or replaced: restore it or pack again with --force",
      path, info_.bytes, int64_t(status.st_size));
  if (info_.extents.empty()) info_.extents = compare_with_hdf5(schema);
  check_extents();
  require_stored(int64_t(status.st_blocks));
  descriptor_ = open_file(path);
  require(descriptor_ >= 0, Exit::data, "{}: cannot open: {}", path, std::strerror(errno));
  try {
    load_checksums();
  } catch (...) {
    close(descriptor_);
    throw;
  }
}

Shard::~Shard() {
  if (descriptor_ >= 0) close(descriptor_);
  for (const auto& each : checksums_) in_memory_bytes -= int64_t(each.size()) * kWord;
}

Shard::Shard(Shard&& other) noexcept
    : path_(std::move(other.path_)),
      fields_(std::move(other.fields_)),
      info_(std::move(other.info_)),
      checksums_(std::exchange(other.checksums_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)),
      id_(other.id_) {}

std::vector<Extent> Shard::compare_with_hdf5(const Schema& schema) const {
  const ShardInfo found = read_header(path_, schema);
  require(found.count == info_.count && found.digest == info_.digest, Exit::data,
          "{}: it belongs to another data set: expected {} samples of digest {}, found {} of {}; restore the "
          "shard or pack again with --force",
          path_, info_.count, info_.digest, found.count, found.digest);
  require(info_.extents.empty() || found.extents == info_.extents, Exit::data,
          "{}: its parts lie elsewhere than {} says; restore both or pack again with --force", path_,
          kIndexFile);
  return found.extents;
}

// The index is as untrusted as the shard: whatever it says, nothing outside the file is asked for.
void Shard::check_extents() const {
  for (size_t f = 0; f < fields_.size(); ++f) {
    const Extent& e = info_.extents[f];
    const Field& field = fields_[f];
    const auto inside = [&](int64_t first, int64_t count, int64_t each) {
      return first >= 0 && count >= 0 && first <= info_.bytes && count <= (info_.bytes - first) / each;
    };
    const int64_t chunks = e.chunk_bytes ? e.bytes / e.chunk_bytes + 1 : 0;
    const bool sound =
        e.chunk_bytes / kDeflateMost <= info_.bytes && inside(e.checksums, info_.count, kWord) &&
        e.bytes % field.row_bytes() == 0 && e.chunk_bytes % field.row_bytes() == 0 &&
        (field.variable ? inside(e.ends, info_.count, kWord) : e.bytes / field.row_bytes() == info_.count) &&
        (e.chunk_bytes ? inside(e.chunks, (chunks - 1) * 3, kWord) : inside(e.data, e.bytes, 1));
    require(sound, Exit::data,
            "{}: {} places field {} outside the file; restore it or pack again with --force", path_,
            kIndexFile, field.name);
  }
}

// A file may have holes, which are any number of zeros and no bytes: large samples are not believed to be in
// them. Deflate, which file systems know too, makes nothing as small.
void Shard::require_stored(int64_t blocks) const {
  constexpr int64_t kBlock = 512, kLarge = int64_t{64} << 20;
  int64_t largest = 0;
  for (const Field& field : fields_) largest = std::max(largest, field.variable ? 0 : field.bytes());
  require(
      largest < kLarge || blocks == 0 || info_.bytes / kDeflateMost <= blocks * kBlock, Exit::data,
      "{}: expected {} bytes, found a file of holes, which stores {}; restore it or pack again with --force",
      path_, info_.bytes, blocks * kBlock);
}

// A page of words that are all zero are no checksums but a hole in the file, whose size says nothing.
std::vector<uint64_t> Shard::stored_checksums(size_t field, int64_t first, int64_t count) const {
  std::vector<uint64_t> some(static_cast<size_t>(count));
  read_at(info_.extents[field].checksums + first * kWord, some.data(), count * kWord);
  const bool hole = count >= kPage &&
                    std::all_of(some.begin(), some.begin() + kPage, [](uint64_t word) { return word == 0; });
  require(
      !hole, Exit::data,
      "{}: expected the checksums of {} samples of field {}, found a hole in the file; restore it or pack "
      "again with --force",
      path_, info_.count, fields_[field].name);
  return some;
}

// Piece by piece, so that memory is taken for what is there.
std::vector<uint64_t> Shard::stored_checksums(size_t field) const {
  constexpr int64_t kPiece = 1 << 17;
  std::vector<uint64_t> all;
  for (int64_t at = 0; at < info_.count; at += kPiece) {
    const auto piece = stored_checksums(field, at, std::min(kPiece, info_.count - at));
    all.insert(all.end(), piece.begin(), piece.end());
  }
  return all;
}

// Counts in what all shards keep in memory; false if it does not fit.
bool Shard::reserve(int64_t& bytes) const {
  const auto fields = int64_t(fields_.size());
  if (info_.count > kInMemory / kWord / fields) return false;
  bytes = fields * info_.count * kWord;
  if (in_memory_bytes.fetch_add(bytes) + bytes <= kInMemory) return true;
  in_memory_bytes -= bytes;
  return false;
}

void Shard::require_digest(const std::vector<Column>& columns) const {
  const std::string found = shard_digest(columns);
  require(found == info_.digest, Exit::data,
          "{}: it is damaged or belongs to another data set: its checksums should hash to {}, not to {}; "
          "restore the shard "
          "or pack again with --force",
          path_, info_.digest, found);
}

void Shard::load_checksums() {
  int64_t bytes = 0;
  if (!reserve(bytes)) {
    for (size_t f = 0; f < fields_.size(); ++f) stored_checksums(f, 0, std::min(kPage, info_.count));
    return;
  }
  std::vector<Column> columns(fields_.size());
  try {
    for (size_t f = 0; f < fields_.size(); ++f) columns[f].checksums = stored_checksums(f);
    require_digest(columns);
  } catch (...) {
    in_memory_bytes -= bytes;
    throw;
  }
  checksums_.resize(fields_.size());
  for (size_t f = 0; f < fields_.size(); ++f) checksums_[f] = std::move(columns[f].checksums);
}

std::string Shard::name(size_t field, int64_t row) const {
  return fmt::format("{}: field {} of sample {}", path_, fields_[field].name, row);
}

void Shard::read_at(int64_t offset, void* to, int64_t bytes) const {
  char* cursor = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t got = pread(descriptor_, cursor, size_t(bytes), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      fail(Exit::data, "{}: cannot read {} bytes at {}: {}; see `saddle check`", path_, bytes, offset,
           got < 0 ? std::strerror(errno) : "the file ends before");
    cursor += got, offset += got, bytes -= got;
  }
}

uint64_t Shard::stored_checksum(size_t field, int64_t row) const {
  if (!checksums_.empty()) return checksums_[field][size_t(row)];
  uint64_t value = 0;
  read_at(info_.extents[field].checksums + row * kWord, &value, kWord);
  return value;
}

Shard::Part Shard::part(size_t field, int64_t row) const {
  const int64_t row_bytes = fields_[field].row_bytes();
  if (!fields_[field].variable) return {.first = row * row_bytes, .bytes = row_bytes};
  int64_t ends[2] = {0, 0};
  const int64_t from = std::max<int64_t>(0, row - 1);
  read_at(info_.extents[field].ends + from * kWord, row ? ends : ends + 1, (row - from + 1) * kWord);
  const int64_t all = info_.extents[field].bytes / row_bytes;
  const bool inside = ends[0] >= 0 && ends[0] <= ends[1] && ends[1] <= all;
  const int64_t rows = inside ? ends[1] - ends[0] : 0;
  if (!inside || rows > fields_[field].shape[0])
    fail(Exit::data,
         "{} is damaged: expected up to {} rows of {}, found rows {} to {}; restore the shard or pack again "
         "with "
         "--force",
         name(field, row), fields_[field].shape[0], all, ends[0], ends[1]);
  return {.first = ends[0] * row_bytes, .bytes = rows * row_bytes};
}

int64_t Shard::length(size_t field, int64_t row) const {
  return part(field, row).bytes / fields_[field].row_bytes();
}

const char* Shard::chunk(size_t field, int64_t number) const {
  thread_local Inflated last;
  if (last.shard == id_ && last.field == field && last.number == number) return last.bytes.data();
  const Extent& extent = info_.extents[field];
  int64_t entry[3];  // offset, stored bytes, 1 if stored as it was
  read_at(extent.chunks + number * int64_t(sizeof entry), entry, sizeof entry);
  const auto [offset, stored, raw] = entry;
  const bool sound = offset >= 0 && stored >= 0 && offset <= info_.bytes && stored <= info_.bytes - offset &&
                     (raw == 0 || stored == extent.chunk_bytes);
  require(sound, Exit::data,
          "{}: chunk {} of field {} lies outside the file; restore it or pack again with --force", path_,
          number, fields_[field].name);
  last.number = -1;
  last.bytes.resize(size_t(extent.chunk_bytes));
  last.stored.resize(raw ? 0 : size_t(stored));
  read_at(offset, raw ? last.bytes.data() : last.stored.data(), stored);
  const bool whole =
      raw || libdeflate_zlib_decompress(last.engine.get(), last.stored.data(), last.stored.size(),
                                        last.bytes.data(), last.bytes.size(), nullptr) == LIBDEFLATE_SUCCESS;
  require(whole, Exit::data,
          "{}: chunk {} of field {} is damaged; restore the shard or pack again with --force", path_, number,
          fields_[field].name);
  last.shard = id_, last.field = field, last.number = number;
  return last.bytes.data();
}

void Shard::read_part(size_t field, Part part, char* to) const {
  const Extent& extent = info_.extents[field];
  if (extent.chunk_bytes == 0) return read_at(extent.data + part.first, to, part.bytes);
  while (part.bytes > 0) {
    const int64_t within = part.first % extent.chunk_bytes;
    const int64_t bytes = std::min(part.bytes, extent.chunk_bytes - within);
    std::memcpy(to, chunk(field, part.first / extent.chunk_bytes) + within, size_t(bytes));
    to += bytes, part.first += bytes, part.bytes -= bytes;
  }
}

int64_t Shard::read(size_t field, int64_t row, void* to, bool verify) const {
  const Part wanted = part(field, row);
  read_part(field, wanted, static_cast<char*>(to));
  const int64_t length = wanted.bytes / fields_[field].row_bytes();
  if (!verify) return length;
  const uint64_t expected = stored_checksum(field, row), found = checksum(to, size_t(wanted.bytes));
  if (found != expected)
    fail(Exit::data,
         "{} is damaged: expected checksum {}, found {}; restore the shard or pack again with --force",
         name(field, row), hex(expected), hex(found));
  return length;
}

void Shard::prefetch(size_t field, int64_t row) const {
  const Extent& extent = info_.extents[field];
  if (extent.chunk_bytes || fields_[field].variable) return;  // finding their place would read already
  const Part wanted = part(field, row);
  posix_fadvise(descriptor_, extent.data + wanted.first, wanted.bytes, POSIX_FADV_WILLNEED);
}

void verify_shard(const std::string& path, const Schema& schema, const ShardInfo& info) {
  const Shard shard(path, schema, info);
  std::vector<Column> columns(schema.fields.size());
  for (size_t f = 0; f < columns.size(); ++f) {
    std::vector<char> sample;  // as long as there is data, not as the schema claims
    for (int64_t row = 0; row < info.count; ++row) {
      sample.resize(size_t(shard.length(f, row) * schema.fields[f].row_bytes()));
      shard.read(f, row, sample.data());
      columns[f].checksums.push_back(shard.stored_checksum(f, row));
    }
  }
  shard.require_digest(columns);
}

}  // namespace saddle
