// The one walk over folders of sources, for every importer: which files are there, and which are passed over.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace saddle {

// How many files were not packed, by reason and ending (lower case, "" for none).
using LeftOut = std::map<std::pair<std::string, std::string>, int64_t>;

inline constexpr const char* kUnread = "format not read";

void leave_out(LeftOut& all, const std::string& reason, const std::string& name, int64_t files = 1);
void leave_out(LeftOut& all, const LeftOut& others);
nlohmann::json to_json(const LeftOut& all);  // [{"reason", "ending", "files"}]

// Begins with a point (.git, .DS_Store), or is __MACOSX or @eaDir, or lies below such a folder.
bool is_hidden(const std::string& name);
// Why a hidden file is passed over: macOS leaves files of its own beside others, as ._NAME, Synology's
// stations thumbnails in @eaDir.
const char* hidden_reason(const std::string& name);

struct Walk {
  struct File {
    std::string name;  // below the folder, with '/' between folders
    int64_t bytes = 0;
    int64_t changed = 0;  // seconds since 1970
  };
  std::vector<File> files = {};           // regular, not hidden, sorted bytewise
  std::vector<std::string> folders = {};  // directly in the folder, not hidden, sorted; also empty ones
  LeftOut left_out = {};                  // hidden ones, links that lead nowhere or back, devices
};

// Links are followed, but not those that lead back to a folder they lie in. `deep`: sub-folders too. Exit::io
// names what cannot be read, who may, and what to do.
Walk walk(const std::string& folder, bool deep = true);

// Exit::io unless `path` can be looked at or is not there.
void require_reachable(const std::string& path);

}  // namespace saddle
