#include "dist/manifest.h"

#include <filesystem>
#include <set>

#include "dist/file.h"
#include "dist/json.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The path of a checkpoint's own file: a name beside the manifest, which no link leads out of.
std::string inside(const fs::path& folder, const std::string& name) {
  const bool plain = !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
                     name.find('\0') == std::string::npos;
  require(plain, Exit::data, "expected the name of a file beside the manifest, found {}", excerpt(name));
  const fs::path path = folder / name;
  std::error_code error;
  if (!fs::is_symlink(path, error)) return path.string();
  const fs::path real = fs::canonical(path, error), home = fs::canonical(folder, error);
  require(!error && real.parent_path() == home, Exit::data,
          "'{}' is a link that leads out of the checkpoint: put the file itself there", path.string());
  return path.string();
}

void require_texts(const json& object, const char* key) {
  if (!object.contains(key)) return;
  for (const auto& [name, value] : object_at(object, key).items())
    require(value.is_string(), Exit::data, "{}: {}: expected a text, found {}", key, excerpt(name),
            excerpt(value));
}

// Of what the launcher says of a run; a saver may say other things, or nothing.
void check_about(const json& about) {
  if (about.is_null()) return;
  require(about.is_object(), Exit::data, "about: expected an object, found {}", excerpt(about));
  require_texts(about, "options");
  require_texts(about, "versions");
  if (about.contains("data")) text_at(about, "data");
  if (about.contains("schema")) object_at(about, "schema");
  if (about.contains("forced")) list_at(about, "forced");
}

bool is_saved_number(const json& value) {
  static const std::set<std::string> without_digits = {"nan", "-nan", "inf", "-inf"};
  return value.is_number() || (value.is_string() && without_digits.contains(value.get<std::string>()));
}

// Once this holds, nobody who reads on need ask for types.
void check(const json& manifest) {
  count_at(manifest, "step");
  count_at(manifest, "tensors");
  count_at(manifest, "world_size");
  if (manifest.contains("time")) text_at(manifest, "time");
  if (manifest.contains("score") && !manifest["score"].is_null()) number_at(manifest, "score");
  for (const auto& [name, value] : object_at(manifest, "numbers").items())
    require(is_saved_number(value), Exit::data, "numbers: {}: expected a number, found {}", excerpt(name),
            excerpt(value));
  check_about(value_at(manifest, "about"));
  std::set<std::string> names;
  for (const json& file : list_at(manifest, "files")) {
    const std::string& name = text_at(file, "file");
    require(names.insert(name).second, Exit::data, "files: {} is listed twice", excerpt(name));
    count_at(file, "bytes");
    text_at(file, "xxh3_128");
  }
}

}  // namespace

json parse_manifest(const std::string& text, const std::string& folder) try {
  json manifest = parse_json(text, "");
  require(manifest.is_object(), Exit::data, "expected an object, found {}", excerpt(manifest));
  // Its own checksum first: a flipped bit must not pass for a newer format.
  if (manifest.contains("xxh3_128")) {
    json rest = manifest;
    rest.erase("xxh3_128");
    require(manifest["xxh3_128"] == hash_text(rest.dump()), Exit::data, "its checksum differs");
  }
  const int64_t format = integer_at(manifest, "format");
  if (format > kCheckpointFormat)
    throw TooNew(Exit::data,
                 fmt::format("'{}' has checkpoint format {}, this saddle reads up to {}: use a newer "
                             "saddle, or go on from older checkpoints in another folder",
                             folder, format, kCheckpointFormat));
  require(format == 1 || manifest.contains("xxh3_128"), Exit::data, "its checksum is missing");
  check(manifest);
  return manifest;
} catch (const TooNew&) {
  throw;
} catch (const Error& e) {
  fail(e.kind, "'{}' has a broken manifest: {}", folder, e.what());
}

json read_manifest(const std::string& folder) {
  constexpr int64_t kMost = int64_t{16} << 20;
  return parse_manifest(read_file(inside(folder, kManifest), kMost), folder);
}

std::string sized_file(const std::string& folder, const json& file) {
  const std::string path = inside(folder, text_at(file, "file"));
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  require(error != std::errc::no_such_file_or_directory, Exit::data, "'{}' is missing", path);
  require(!error, Exit::data, "'{}' is no file: {}", path, error.message());
  require(int64_t(bytes) == count_at(file, "bytes"), Exit::data, "'{}' has {} bytes, its manifest says {}",
          path, bytes, count_at(file, "bytes"));
  return path;
}

}  // namespace saddle
