// The versions a result depends on.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace saddle {

nlohmann::json versions();   // {"saddle": "0.1.0", "LibTorch": "2.11.0", ...}
std::string version_text();  // a line each, for --version

}  // namespace saddle
