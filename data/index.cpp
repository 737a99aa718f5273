#include "data/index.h"

#include <filesystem>

#include "dist/error.h"
#include "dist/file.h"

namespace saddle {
namespace {

std::string index_path(const std::string& folder) {
  return (std::filesystem::path(folder) / kIndexFile).string();
}

nlohmann::json shard_to_json(const ShardInfo& shard) {
  return {{"file", shard.file}, {"count", shard.count}, {"bytes", shard.bytes}, {"digest", shard.digest}};
}

ShardInfo shard_from_json(const nlohmann::json& in) {
  return {.file = in.at("file"), .count = in.at("count"), .bytes = in.at("bytes"), .digest = in.at("digest")};
}

Index from_json(const nlohmann::json& in) {
  require(in.at("format") == kFormatVersion, Exit::data, "expected format {}, found {}; pack it again",
          kFormatVersion, in.at("format").dump());
  Index index{.schema = schema_from_json(in.at("schema")),
              .count = in.at("count"),
              .fingerprint = in.at("fingerprint"),
              .provenance = in.at("provenance")};
  int64_t sum = 0;
  for (const auto& each : in.at("shards")) sum += index.shards.emplace_back(shard_from_json(each)).count;
  require(sum == index.count, Exit::data, "its shards sum to {} samples, its count is {}", sum, index.count);
  return index;
}

}  // namespace

bool has_index(const std::string& folder) {
  return std::filesystem::exists(index_path(folder));
}

Index read_index(const std::string& folder) {
  const std::string path = index_path(folder);
  require(has_index(folder), Exit::data,
          "{}: expected {} there, found none; make it with `saddle pack SOURCE --out {}`", folder, kIndexFile,
          folder);
  try {
    return from_json(nlohmann::json::parse(read_file(path)));
  } catch (const nlohmann::json::exception& error) {
    fail(Exit::data, "{}: malformed: {}; pack it again with --force", path, error.what());
  } catch (const Error& error) {
    fail(error.kind, "{}: {}", path, error.what());
  }
}

void write_index(const std::string& folder, const Index& index) {
  nlohmann::json shards = nlohmann::json::array();
  for (const ShardInfo& shard : index.shards) shards.push_back(shard_to_json(shard));
  const nlohmann::json out{
      {"format", kFormatVersion},         {"count", index.count}, {"schema", to_json(index.schema)},
      {"fingerprint", index.fingerprint}, {"shards", shards},     {"provenance", index.provenance}};
  write_file(index_path(folder), out.dump(1) + "\n");
}

std::string shard_name(int64_t number) {
  return fmt::format("shard-{:05}.h5", number);
}

}  // namespace saddle
