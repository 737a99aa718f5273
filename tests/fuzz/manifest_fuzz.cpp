// manifest.json of a checkpoint, whose checksum is made to fit if the first byte is odd: else hardly an input
// would come past it.
#include "dist/file.h"
#include "dist/json.h"
#include "dist/manifest.h"
#include "tests/fuzz/fuzz.h"

namespace saddle::fuzz {
namespace {

std::string with_checksum(const std::string& text) {
  nlohmann::json manifest = parse_json(text, "");
  if (!manifest.is_object()) return text;
  manifest.erase("xxh3_128");
  manifest["xxh3_128"] = hash_text(manifest.dump());
  return manifest.dump();
}

// What listing and loading ask of it.
void use(const nlohmann::json& manifest) {
  static const std::string file = put("state", "state");
  const std::string folder = std::filesystem::path(file).parent_path().string();
  check(integer_at(manifest, "step") >= 0 && integer_at(manifest, "tensors") >= 0, "counts");
  for (const nlohmann::json& each : manifest.at("files"))
    survive([&] { check(sized_file(folder, each) == file, "a file that is there, in the folder"); });
  const nlohmann::json& about = manifest.at("about");
  for (const char* key : {"options", "versions"})
    if (about.is_object() && about.contains(key))
      for (const auto& [name, value] : about[key].items()) check(value.is_string(), "texts");
  for (const auto& [name, value] : manifest.at("numbers").items())
    check(value.is_number() || value.is_string(), "numbers");
}

}  // namespace
}  // namespace saddle::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saddle;
  if (size == 0) return 0;
  fuzz::survive([&] {
    std::string text(fuzz::view(data + 1, size - 1));
    if (data[0] & 1) text = fuzz::with_checksum(text);
    fuzz::use(parse_manifest(text, "folder"));
  });
  return 0;
}
