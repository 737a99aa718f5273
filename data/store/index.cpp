#include "data/store/index.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "data/view/picture.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/json.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kMost = int64_t{1} << 60;  // bytes or samples; sums of two still fit

std::string index_path(const std::string& folder) {
  return (fs::path(folder) / kIndexFile).string();
}

json extent_to_json(const Extent& extent) {
  json out{{"bytes", extent.bytes}, {"checksums", extent.checksums}};
  if (extent.chunk_bytes)
    out["chunks"] = extent.chunks, out["chunk_bytes"] = extent.chunk_bytes;
  else
    out["data"] = extent.data;
  if (extent.ends) out["ends"] = extent.ends;
  return out;
}

// A place in a file, or a size: not negative, and small enough to be added to.
int64_t place(const json& in, const char* key, int64_t otherwise) {
  const int64_t value = in.contains(key) ? integer_at(in, key) : otherwise;
  require(value >= 0 && value <= kMost, Exit::data, "expected a place in a file as {}, found {}", key, value);
  return value;
}

Extent extent_from_json(const json& in) {
  require(in.is_object(), Exit::data, "extents: expected an object, found {}", excerpt(in));
  return {.bytes = place(in, "bytes", -1),
          .data = place(in, "data", 0),
          .checksums = place(in, "checksums", -1),
          .ends = place(in, "ends", 0),
          .chunks = place(in, "chunks", 0),
          .chunk_bytes = place(in, "chunk_bytes", 0)};
}

json shard_to_json(const ShardInfo& shard) {
  json extents = json::array();
  for (const Extent& extent : shard.extents) extents.push_back(extent_to_json(extent));
  return {{"file", shard.file},
          {"count", shard.count},
          {"bytes", shard.bytes},
          {"digest", shard.digest},
          {"extents", extents}};
}

ShardInfo shard_from_json(const json& in, int64_t format) {
  ShardInfo shard{.file = text_at(in, "file"),
                  .count = place(in, "count", -1),
                  .bytes = place(in, "bytes", -1),
                  .digest = text_at(in, "digest")};
  const bool beside = !shard.file.empty() && shard.file != "." && shard.file != ".." &&
                      shard.file.find('/') == std::string::npos && shard.file.find('\0') == std::string::npos;
  require(beside, Exit::data, "expected the name of a file beside it, found {}", excerpt(shard.file));
  if (format == 1) return shard;
  for (const json& each : list_at(in, "extents")) shard.extents.push_back(extent_from_json(each));
  return shard;
}

// It names the folder of a staged copy.
std::string fingerprint_of(const json& in) {
  const std::string& found = text_at(in, "fingerprint");
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  require(std::all_of(found.begin(), found.end(), is_digit) && found.size() <= 64, Exit::data,
          "fingerprint: expected hexadecimal digits, found {}", excerpt(found));
  return found;
}

// Nets have weights for each class, and batches room for the longest sample: both are only claimed. Shards
// that are there hold less at times, as a part of a data set does, but not that much less.
void require_plausible(const Field& field, const std::string& what, int64_t claimed, int64_t least,
                       int64_t there) {
  require(claimed <= std::max(least, there), Exit::data,
          "field {}: expected no more than shards of {} bytes can hold, found {}", field.name, there, what);
}

void check_claims(const Index& index) {
  constexpr int64_t kClasses = 1 << 20, kBytes = int64_t{16} << 20, kTimes = 1024;
  int64_t files = 0;
  for (const ShardInfo& shard : index.shards) files = std::min(kMost, files + shard.bytes);
  for (size_t f = 0; f < index.schema.fields.size(); ++f) {
    const Field& field = index.schema.fields[f];
    require_plausible(field, fmt::format("{} classes", field.classes), field.classes, kClasses, files);
    if (!field.variable || index.shards.empty()) continue;
    int64_t bytes = 0;
    for (const ShardInfo& shard : index.shards)
      bytes = std::min(kMost, bytes + (shard.extents.empty() ? shard.bytes : shard.extents[f].bytes));
    require_plausible(field, fmt::format("samples of up to {} steps", field.shape[0]), field.bytes() / kTimes,
                      kBytes / kTimes, bytes);
  }
}

Index from_json(const json& in) {
  const int64_t format = integer_at(in, "format");
  require(format >= 1 && format <= kFormatVersion, Exit::data,
          "expected format 1 to {}, found {}: use a newer saddle", kFormatVersion, format);
  Index index{.schema = schema_from_json(value_at(in, "schema")),
              .count = integer_at(in, "count"),
              .fingerprint = fingerprint_of(in),
              .provenance = value_at(in, "provenance")};
  int64_t sum = 0;
  for (const json& each : list_at(in, "shards")) {
    index.shards.push_back(shard_from_json(each, format));
    sum += index.shards.back().count;
    require(sum <= kMost, Exit::data, "expected at most {} samples, found {}", kMost, sum);
    const size_t extents = index.shards.back().extents.size();
    require(format == 1 || extents == index.schema.fields.size(), Exit::data,
            "expected an extent for each of {} fields, found {}", index.schema.fields.size(), extents);
  }
  require(sum == index.count, Exit::data, "its shards sum to {} samples, its count is {}", sum, index.count);
  check_claims(index);
  return index;
}

// Beside `path`, so that nothing is written into a user's own folder: "pictures" -> "pictures-packed".
std::string packed_beside(const fs::path& path) {
  const fs::path whole =
      (fs::absolute(path).lexically_normal() / "").parent_path();  // without a / at the end
  return (fs::is_directory(whole) ? whole : whole.parent_path() / whole.stem()).string() + "-packed";
}

std::vector<std::string> parts_with_index(const fs::path& folder) {
  std::vector<std::string> parts;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (has_index(entry.path().string())) parts.push_back("'" + entry.path().string() + "'");
  std::sort(parts.begin(), parts.end());
  std::stable_partition(parts.begin(), parts.end(),
                        [](const auto& part) { return part.ends_with("/train'"); });
  return parts;
}

// What lies where a data set was looked for, and what to do.
std::string instead_of_index(const fs::path& path) {
  if (!fs::exists(path)) return "there is no such folder; `saddle pack SOURCE --out DIR` makes one";
  const std::string parent = path.parent_path().string();
  if (!fs::is_directory(path) && has_index(parent))
    return fmt::format("that is a file of the data set '{}'; pass this folder", parent);
  const std::string pack = fmt::format("`saddle pack {} --out {}`", path.string(), packed_beside(path));
  if (!fs::is_directory(path)) {
    if (is_picture(path.string()))
      return fmt::format("that is one picture; pack the folder that holds it: `saddle pack {} --out {}`",
                         path.parent_path().empty() ? "." : path.parent_path().string(),
                         packed_beside(path.parent_path()));
    return fmt::format("that is a file; pack it first: {}", pack);
  }
  if (const auto parts = parts_with_index(path); !parts.empty())
    return fmt::format("it holds {} of them; pass {}", parts.size(), fmt::join(parts, " or "));
  if (fs::exists(path / "options.toml"))
    return "that is the folder of a run; its options.toml names its data as data.folder";
  for (const auto& entry : fs::directory_iterator(path))
    if (entry.is_directory() && fs::exists(entry.path() / "options.toml"))
      return fmt::format("it holds runs, such as '{}', whose options.toml names its data as data.folder",
                         entry.path().string());
  if (fs::exists(path / kPlanFile)) return "it was not packed to the end; the same `saddle pack` goes on";
  if (fs::is_empty(path)) return "it is empty; `saddle pack SOURCE --out DIR` makes one";
  return fmt::format("it was not made by `saddle pack`; pack what is there into another folder: {}", pack);
}

// StyleGAN keeps labels of pictures in a file of the same name.
bool is_table_of_labels(const std::string& text) {
  return text.find("\"labels\"") != std::string::npos && text.find("\"shards\"") == std::string::npos;
}

}  // namespace

bool has_index(const std::string& folder) {
  std::error_code unreadable;
  return fs::exists(index_path(folder), unreadable);
}

Index parse_index(const std::string& text) {
  return from_json(parse_json(text, ""));
}

Index read_index(const std::string& folder) {
  const std::string path = index_path(folder);
  if (!has_index(folder)) fail(Exit::data, "no data set in '{}': {}", folder, instead_of_index(folder));
  const std::string text = read_file(path, kMostJsonBytes);
  try {
    return parse_index(text);
  } catch (const Error& error) {
    if (is_table_of_labels(text))
      fail(Exit::data,
           "no data set in '{0}': its {1} is StyleGAN's table of labels; pack it into another folder: "
           "`saddle pack {0} --out {2}`",
           folder, kIndexFile, packed_beside(folder));
    fail(error.kind, "{}: {}; restore it, or pack again with --force", path, error.what());
  }
}

void write_index(const std::string& folder, const Index& index) {
  json shards = json::array();
  for (const ShardInfo& shard : index.shards) shards.push_back(shard_to_json(shard));
  const json out{
      {"format", kFormatVersion},         {"count", index.count}, {"schema", to_json(index.schema)},
      {"fingerprint", index.fingerprint}, {"shards", shards},     {"provenance", index.provenance}};
  write_file(index_path(folder), out.dump(1) + "\n");
}

std::string shard_name(int64_t number) {
  return fmt::format("shard-{:05}.h5", number);
}

}  // namespace saddle
