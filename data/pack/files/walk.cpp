#include "data/pack/files/walk.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "data/pack/files/files.h"
#include "dist/error.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

int64_t seconds_of(fs::file_time_type time) {
  const auto system = std::chrono::file_clock::to_sys(time);
  return std::chrono::duration_cast<std::chrono::seconds>(system.time_since_epoch()).count();
}

std::string user_name(uid_t id) {
  const passwd* found = getpwuid(id);
  return found ? fmt::format("user {}", found->pw_name) : fmt::format("user {}", id);
}

[[noreturn]] void fail_unreadable(const fs::path& path, const std::error_code& error) {
  struct stat found {};
  if (error != std::errc::permission_denied || stat(path.c_str(), &found) != 0)
    fail(Exit::io, "{}: cannot be read: {}", path.string(), error.message());
  fail(Exit::io,
       "{}: {} may not read it, for it belongs to {} and its mode is {:o}; let that user run "
       "`chmod -R u+rwX,go+rX '{}'`, or pack as that user",
       path.string(), user_name(geteuid()), user_name(found.st_uid), found.st_mode & 07777, path.string());
}

// The ending that files are counted by: none that only numbers a file, or is part of a sentence.
std::string ending_of(const std::string& name) {
  constexpr size_t kLongest = 24;
  const std::string base = base_of(name);
  std::string tail = base.substr(stem_of(base).size());
  for (char& c : tail) c = char(std::tolower(static_cast<unsigned char>(c)));
  const bool number = tail.find_first_not_of("0123456789.") == std::string::npos;
  return number || tail.size() > kLongest ? "" : readable(tail);
}

// Why a path cannot be looked at; nothing also if it is not there.
std::error_code obstacle(const fs::path& path) {
  std::error_code error;
  return fs::status(path, error).type() == fs::file_type::none ? error : std::error_code();
}

bool is_of_synology(const std::string& name) {
  return ("/" + name + "/").find("/@eaDir/") != std::string::npos;
}

class Walker {
 public:
  Walker(std::string root, bool deep) : root_(std::move(root)), deep_(deep) {}

  Walk run() {
    descend("");
    std::sort(out_.folders.begin(), out_.folders.end());
    std::sort(out_.files.begin(), out_.files.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return std::move(out_);
  }

 private:
  void descend(const std::string& below) {
    std::error_code error;
    const fs::path here = fs::canonical(fs::path(root_) / below, error);
    if (error) fail_unreadable(fs::path(root_) / below, error);
    if (std::find(above_.begin(), above_.end(), here) != above_.end())
      return leave_out(out_.left_out, "link to a folder that it lies in", below);
    above_.push_back(here);
    fs::directory_iterator entry(here, error);
    if (error) fail_unreadable(here, error);
    for (; entry != fs::directory_iterator(); entry.increment(error)) {
      take(*entry, below);
      if (error) fail_unreadable(here, error);
    }
    above_.pop_back();
  }

  void take(const fs::directory_entry& entry, const std::string& below) {
    const std::string name = (below.empty() ? "" : below + "/") + entry.path().filename().string();
    if (is_hidden(name)) return leave_out(out_.left_out, hidden_reason(name), name);
    std::error_code error;
    const fs::file_status status = fs::status(entry.path(), error);
    if (status.type() == fs::file_type::not_found)
      return leave_out(out_.left_out, "link that leads nowhere", name);
    if (error == std::errc::too_many_symbolic_link_levels)
      return leave_out(out_.left_out, "link to itself", name);
    if (error) fail_hidden_by_folder(entry.path(), error);
    if (fs::is_directory(status)) return take_folder(name);
    if (!fs::is_regular_file(status)) return leave_out(out_.left_out, "no regular file", name);
    const auto bytes = int64_t(fs::file_size(entry.path(), error));
    const int64_t changed = error ? 0 : seconds_of(fs::last_write_time(entry.path(), error));
    if (error) fail_unreadable(entry.path(), error);
    out_.files.push_back({.name = name, .bytes = bytes, .changed = changed});
  }

  // A folder may be listed and yet not let through to what is in it.
  [[noreturn]] static void fail_hidden_by_folder(const fs::path& path, const std::error_code& error) {
    std::error_code own;
    const fs::file_status status = fs::symlink_status(path, own);
    fail_unreadable(own || status.type() == fs::file_type::none ? path.parent_path() : path, error);
  }

  void take_folder(const std::string& name) {
    if (name.find('/') == std::string::npos) out_.folders.push_back(name);
    if (deep_) descend(name);
  }

  const std::string root_;
  const bool deep_;
  std::vector<fs::path> above_;
  Walk out_;
};

}  // namespace

void leave_out(LeftOut& all, const std::string& reason, const std::string& name, int64_t files) {
  const std::pair kind(reason, ending_of(name));
  if ((all[kind] += files) == 0) all.erase(kind);
}

void leave_out(LeftOut& all, const LeftOut& others) {
  for (const auto& [kind, files] : others) all[kind] += files;
}

nlohmann::json to_json(const LeftOut& all) {
  nlohmann::json out = nlohmann::json::array();
  for (const auto& [kind, files] : all)
    out.push_back({{"reason", kind.first}, {"ending", kind.second}, {"files", files}});
  return out;
}

bool is_hidden(const std::string& name) {
  return name.starts_with('.') || name.starts_with("__MACOSX") || name.find("/.") != std::string::npos ||
         is_of_synology(name);
}

const char* hidden_reason(const std::string& name) {
  if (is_of_synology(name)) return "@eaDir of Synology";
  return base_of(name).starts_with("._") || name.starts_with("__MACOSX") ? "._ file of macOS" : "hidden";
}

Walk walk(const std::string& folder, bool deep) {
  return Walker(folder, deep).run();
}

void require_reachable(const std::string& path) {
  const fs::path whole = fs::absolute(path).lexically_normal();
  const std::error_code error = obstacle(whole);
  if (!error) return;
  fs::path blamed = whole;  // or the folder above that lets nobody through
  while (error == std::errc::permission_denied && obstacle(blamed)) blamed = blamed.parent_path();
  fail_unreadable(blamed, error);
}

}  // namespace saddle
