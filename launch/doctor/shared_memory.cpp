// /dev/shm, through which the ranks of a host talk: its size, and what killed jobs have left there.
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>

#include "dist/error.h"
#include "dist/file.h"
#include "launch/doctor/host.h"

namespace saddle::doctor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kFolder = "/dev/shm";
constexpr double kMiB = 1 << 20;
constexpr double kNeeded = 32 * kMiB;            // a rank: rings of OpenMPI and NCCL between ranks of a host
constexpr double kLitter = 0.1;                  // share of it taken by what was left there: worth a warning
constexpr double kLimit = 10;                    // seconds
constexpr auto kOld = std::chrono::seconds(60);  // a younger file may be about to be mapped, or removed

// The files below `folder` that some process has mapped, as far as this user may see.
std::set<std::string> mapped(const std::string& folder) {
  std::set<std::string> found;
  std::error_code none;
  for (const auto& process : fs::directory_iterator("/proc", none)) {
    std::ifstream maps(process.path() / "maps");
    for (std::string line; std::getline(maps, line);)
      if (const size_t at = line.find(folder + "/"); at != std::string::npos) found.insert(line.substr(at));
  }
  return found;
}

// The worst host's: ranks without room, much that lies about, or nothing.
Verdict verdict_on_shared_memory(const Answers& answers) {
  std::string small, littered, sound;
  for (const auto& [host, ranks] : by_host(hosts_of(answers))) {
    const json& facts = answers[size_t(ranks[0])].facts;
    const double size = facts.at("size"), available = facts.at("free"),
                 abandoned = facts.at("abandoned_bytes");
    std::string text =
        fmt::format("{} free of {} on {}", text_of_bytes(available), text_of_bytes(size), host);
    if (abandoned > 0)
      text += fmt::format("; {} of it in {} files that no process uses, such as {}", text_of_bytes(abandoned),
                          facts.at("abandoned").get<int>(), facts.at("first").get<std::string>());
    if (ranks.size() > 1 && available < kNeeded * double(ranks.size()) && small.empty())
      small = fmt::format("{} for {} ranks", text, ranks.size());
    if (abandoned > kLitter * size && littered.empty()) littered = text;
    if (sound.empty()) sound = text;
  }
  if (!small.empty())
    return {Status::warning, small,
            "at least 32 MiB a rank: mount -o remount,size=1G /dev/shm, or docker run --shm-size=1g (or "
            "--ipc=host)"};
  if (!littered.empty())
    return {Status::warning, littered,
            "jobs that were killed with their launcher left them: remove them, unless another container uses "
            "them"};
  return {Status::ok, sound};
}

}  // namespace

std::vector<std::string> abandoned_segments(const std::string& folder) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    struct stat status {};
    const bool ours = stat(entry.path().c_str(), &status) == 0 && status.st_uid == geteuid();
    const bool old =
        std::chrono::system_clock::from_time_t(status.st_mtime) < std::chrono::system_clock::now() - kOld;
    if (ours && old &&
        (name.starts_with("vader_segment.") || name.starts_with("sm_segment.") || name.starts_with("nccl-")))
      found.push_back(entry.path());
  }
  const std::set<std::string> used = mapped(folder);
  std::erase_if(found, [&](const std::string& path) { return used.contains(path); });
  return found;
}

Lines check_shared_memory(const Comm& comm) {
  if (comm.size() == 1) return {};
  const Answers answers = ask(comm, kFolder, kLimit, []() -> json {
    struct statvfs status {};
    require(statvfs(kFolder, &status) == 0, Exit::io,
            "there is no /dev/shm; mount a tmpfs there: ranks of a host talk through it");
    double bytes = 0;
    std::error_code gone;
    const std::vector<std::string> abandoned = abandoned_segments(kFolder);
    for (const std::string& path : abandoned)
      if (const auto size = fs::file_size(path, gone); !gone) bytes += double(size);
    return {{"size", double(status.f_blocks) * double(status.f_frsize)},
            {"free", double(status.f_bavail) * double(status.f_frsize)},
            {"abandoned", abandoned.size()},
            {"abandoned_bytes", bytes},
            {"first", abandoned.empty() ? "" : abandoned.front()}};
  });
  return all(kFolder, answers, "", verdict_on_shared_memory);
}

}  // namespace saddle::doctor
