// manifest.json of a checkpoint (CHECKPOINT.md): read with distrust, since it names files and sizes nets.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "dist/error.h"

namespace saddle {

inline constexpr const char* kManifest = "manifest.json";
inline constexpr int kCheckpointFormat = 2;  // 1 has no score, no time and no checksum of the manifest

struct TooNew : Error {
  using Error::Error;
};

// Compared with its own checksum; every value that a program reads is of its kind. Exit::data names `folder`,
// the key, what was expected and what was found; TooNew if the format is of a newer program.
nlohmann::json parse_manifest(const std::string& text, const std::string& folder);
nlohmann::json read_manifest(const std::string& folder);

// Of one of a manifest's files: its path, which is in the folder, links included; Exit::data if its size is
// not what the manifest says.
std::string sized_file(const std::string& folder, const nlohmann::json& file);

}  // namespace saddle
