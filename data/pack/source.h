// What can be packed. An importer turns a request into a Source; adding a format is one file and one row of
// the table in pack.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "data/schema.h"

namespace saddle {

struct ImageSize {
  int64_t height = 0, width = 0;
};

struct PackRequest {
  std::string source;  // a file, a folder or the name of a generated set
  std::string out;
  std::optional<ImageSize> size = {};  // none: the source's
  int64_t channels = 0;                // 1 or 3; 0: the source's
  int64_t shard_mib = 256;
  uint64_t seed = 0;    // of generated sets
  int64_t samples = 0;  // 0: all there are, 100,000 of a generated set
  std::string split = "train";
  bool skip_bad = false;
  bool force = false;
};

struct Source {
  Schema schema = {};
  int64_t count = 0;
  // Sample i as a batch of one; i never decreases. Exit::data names the file if it is damaged.
  std::function<Batch(int64_t)> sample = {};
  nlohmann::json provenance = {};  // {"source": ..., and whatever identifies the content cheaply}
};

struct Importer {
  const char* name;
  const char* takes;  // for the help and for errors
  bool (*accepts)(const PackRequest&);
  Source (*open)(const PackRequest&);
};

Field image_field(int64_t channels, ImageSize size);
Field label_field(int64_t classes, const std::vector<std::string>& names);

extern const Importer kIdx, kPictures, kMixtures;

// How pictures of one size become pictures of another: the largest centred part of the wanted aspect, then
// antialiased bilinear. uint8 [C, H, W] -> uint8 [channels, height, width].
torch::Tensor fit(const torch::Tensor& picture, int64_t channels, ImageSize size);

}  // namespace saddle
