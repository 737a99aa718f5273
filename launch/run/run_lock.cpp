#include "launch/run/run_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "dist/error.h"
#include "dist/file.h"
#include "dist/json.h"
#include "dist/log.h"
#include "dist/process.h"
#include "launch/run/stopping.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// Where a pid means something: host, boot and pid namespace (of a container).
std::string place() {
  std::string boot;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
  std::error_code none;
  return fmt::format("{} {} {}", host_name(), boot, fs::read_symlink("/proc/self/ns/pid", none).string());
}

json self() {
  return {{"host", host_name()},
          {"place", place()},
          {"pid", getpid()},
          {"start", process_start("self")},
          {"job", variable("SLURM_JOB_ID")},
          {"restarts", std::atoi(variable("SLURM_RESTART_COUNT").c_str())}};
}

// What stands in the file; {} if there is none, or what is there no lock has written.
json holder_of(const std::string& path) try {
  constexpr int64_t kMost = 1 << 16;
  json holder = read_json(path, kMost);
  for (const char* key : {"host", "place", "job"}) text_at(holder, key);
  for (const char* key : {"pid", "start", "restarts"}) integer_at(holder, key);
  return holder;
} catch (const Error&) {
  return json::object();
}

bool same(json a, json b) {
  a.erase("beat");
  b.erase("beat");
  return a == b;
}

std::string name_of(const json& holder) {
  if (holder.empty()) return "something that is no job of this program: the file is damaged, or another's";
  const std::string job = holder.value("job", "");
  return fmt::format("process {} on {}{}", holder.value("pid", int64_t{0}), holder.value("host", "?"),
                     job.empty() ? "" : ", Slurm job " + job);
}

enum class Life { alive, dead, unknown };

Life life_of(const json& holder, const json& me) {
  if (holder.value("place", "") == me["place"])
    return process_start(std::to_string(holder.value("pid", int64_t{0}))) ==
                   holder.value("start", int64_t{-1})
               ? Life::alive
               : Life::dead;
  if (!holder.value("job", "").empty() && holder["job"] == me["job"] &&
      holder.value("restarts", int64_t{0}) < me["restarts"])
    return Life::dead;
  return Life::unknown;
}

// Until the holder has shown a sign of life, or none for `patience` seconds.
Life watch(const std::string& path, const json& holder, const RunLock::Timing& timing) {
  // What no lock has written may be one that is being written: that is over at once.
  const double patience = holder.empty() ? std::min(timing.patience, 3.0) : timing.patience;
  log::info("'{}' is held by {}: waiting up to {} s for a sign of life", path, name_of(holder), patience);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(patience);
  while (std::chrono::steady_clock::now() < end) {
    require(StopSignals::received() == 0, Exit::again,
            "asked to stop while waiting for the lock '{}'; nothing has changed", path);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    if (holder_of(path) != holder) return Life::alive;  // a beat, or gone: a job that ends, or starts, now
  }
  return Life::dead;
}

std::string own_name(const std::string& path) {
  return fmt::format("{}.{}.{}", path, hash_text(place()).substr(0, 8), getpid());
}

// Without links. Where it is not a file system that decides who was first (buckets), the last to write is:
// all have written by the time that this reads back.
bool take_exclusively(const std::string& path, const json& me, double settle) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (descriptor < 0 && errno == EEXIST) return false;
  require(descriptor >= 0, Exit::io, "cannot make '{}': {}", path, std::strerror(errno));
  close(descriptor);
  write_file(path, me.dump());
  std::this_thread::sleep_for(std::chrono::duration<double>(settle));
  return same(holder_of(path), me);
}

// Makes the file unless there is one: a link either is made or not, also on network file systems.
bool take(const std::string& path, const json& me, double settle) {
  const std::string own = own_name(path);
  write_file(own, me.dump());
  std::error_code error;
  fs::create_hard_link(own, path, error);
  fs::remove(own);
  return error && error != std::errc::file_exists ? take_exclusively(path, me, settle) : !error;
}

// Puts what a dead holder left out of the way; not what another job has made of it meanwhile.
void clear(const std::string& path, const json& holder) {
  const std::string own = own_name(path);
  std::error_code error;
  fs::rename(path, own, error);
  if (error) return;
  if (!same(holder_of(own), holder)) {
    fs::create_hard_link(own, path, error);
    if (error && error != std::errc::file_exists && !fs::exists(path)) fs::rename(own, path, error);
  }
  fs::remove(own, error);
}

}  // namespace

bool has_hard_links(const std::string& folder) {
  const std::string one = own_name(folder + "/link"), two = one + ".2";
  write_file(one, "");
  std::error_code error, none;
  fs::create_hard_link(one, two, error);
  fs::remove(one, none);
  fs::remove(two, none);
  return !error;
}

RunLock::RunLock(std::string path, Timing timing) : path_(std::move(path)), timing_(timing) {
  const json me = self();
  while (!saddle::take(path_, me, timing_.settle)) {
    require_plain(path_);
    const json holder = holder_of(path_);
    if (!fs::exists(path_)) continue;  // it has ended meanwhile
    Life life = life_of(holder, me);
    if (life == Life::unknown) life = watch(path_, holder, timing_);
    require(life == Life::dead, Exit::usage,
            "this run is held by another job: {} (its lock is '{}'): let it end, or choose another --out",
            name_of(holder), path_);
    log::warn("taking the run over from {}, which left '{}' and {}", name_of(holder), path_,
              life_of(holder, me) == Life::dead ? "is dead" : "gave no sign of life");
    clear(path_, holder);
  }
  thread_ = std::jthread([this](const std::stop_token& stop) { beat(stop); });
}

RunLock::~RunLock() {
  thread_.request_stop();
  thread_.join();
  std::error_code none;
  if (same(holder_of(path_), self())) fs::remove(path_, none);
}

void RunLock::require_held() const {
  const json holder = holder_of(path_);
  require(
      holder.empty() || same(holder, self()), Exit::usage,
      "this run was taken over by {}, which had seen no sign of life of this job: not going on, so that its "
      "checkpoints stay whole",
      name_of(holder));
}

void RunLock::beat(const std::stop_token& stop) const {
  std::mutex mutex;
  std::condition_variable_any wake;
  json me = self();
  for (int64_t count = 1;; ++count) {
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, std::chrono::duration<double>(timing_.beat), [] { return false; });
    if (stop.stop_requested()) return;
    const json holder = holder_of(path_);
    if (!holder.empty() && !same(holder, me)) return;  // taken over: require_held tells
    me["beat"] = count;
    try {
      write_file(path_, me.dump());
    } catch (const Error& e) {
      log::warn("cannot show a sign of life: {}", e.what());
    }
  }
}

}  // namespace saddle
