#include "launch/run/run_folder.h"

#include <fmt/chrono.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <regex>
#include <set>

#include "data/store/index.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/json.h"
#include "dist/log.h"
#include "launch/run/log_file.h"
#include "launch/run/versions.h"

namespace saddle {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// Of a run, of the job that it belongs to, or a log that a shell writes beside it.
bool belongs_to_run(const std::string& name) {
  static const std::regex ours(
      "(options\\.toml|log\\.jsonl|samples|checkpoints|run\\.lock|trace\\.json|tournament\\.json|"
      "trainer-[0-9]+|flight-[0-9]+\\.jsonl|job\\.sbatch)(\\..*)?|"
      "seed-[0-9]+|\\..*|.*\\.(log|out|err|sh|toml)");
  return std::regex_match(name, ours);
}

std::vector<std::string> strangers(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (const std::string name = entry.path().filename().string(); !belongs_to_run(name))
      names.push_back(name);
  require(!error, Exit::io, "--out: cannot read the folder '{}': {}", folder, error.message());
  std::sort(names.begin(), names.end());
  return names;
}

// "2026-11-28T17:05:09.120Z"
std::string utc_now() {
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds),
                     now.time_since_epoch().count() % 1000);
}

}  // namespace

void require_run_place(const std::string& folder) {
  for (fs::path above = fs::absolute(folder).lexically_normal().parent_path(); above.has_relative_path();
       above = above.parent_path())
    require(!has_index(above.string()), Exit::usage,
            "--out: '{}' is inside the data set '{}'; choose a folder outside of it for the run", folder,
            above.string());
  if (!fs::exists(folder)) return;
  require(fs::is_directory(folder), Exit::usage, "--out: '{}' is a file; a run needs a folder of its own",
          folder);
  require(!has_index(folder), Exit::usage, "--out: '{}' is a data set; choose another folder for the run",
          folder);
  const std::vector<std::string> names = strangers(folder);
  if (names.empty() || fs::exists(RunFolder(folder).options())) return;
  fail(Exit::usage, "--out: '{}' holds other files ({}{}); choose a new or an empty folder for the run",
       folder, names.front(), names.size() > 1 ? fmt::format(" and {} more", names.size() - 1) : "");
}

void RunFolder::require_free(bool resume) const {
  require(resume || !fs::exists(options()), Exit::usage,
          "'{}' already holds a run: pass --resume to go on with it, or choose another --out", path_);
}

void RunFolder::create(bool resume) const {
  require_run_place(path_);
  require_free(resume);
  std::error_code error;
  fs::create_directories(path_ + "/samples", error);
  require(!error, Exit::io, "cannot make the run folder '{}': {}", path_, error.message());
  fs::create_directories(checkpoints(), error);
  require(!error, Exit::io, "cannot make the run folder '{}': {}", checkpoints(), error.message());
}

void RunFolder::save_options(const Run& run) const {
  write_file(options(), "# Resolved options of this run; `saddle train` takes this file as a recipe.\n" +
                            run.table.toml());
}

void RunFolder::open_log(int64_t step) {
  std::string kept;
  if (fs::symlink_status(log_file()).type() != fs::file_type::not_found) {
    int64_t damaged = 0;
    kept = lines_until(read_file(log_file()), step, damaged);
    if (damaged > 0)
      log::warn("'{}': {} line{} that no run wrote whole, left out", log_file(), damaged,
                damaged == 1 ? "" : "s");
  }
  write_file(log_file(), kept);
  log_.open(log_file(), std::ios::app);
}

void RunFolder::log(json line) {
  line["time"] = utc_now();
  log_ << line.dump() << std::endl;
  require(log_.good(), Exit::io, "cannot write '{}': is the disk full?", log_file());
}

std::string RunFolder::sample(int64_t step) const {
  return fmt::format("{}/samples/step-{:06}.png", path_, step);
}

std::string RunFolder::real_samples() const {
  return path_ + "/samples/real.png";
}

json about(const Run& run, const Schema& schema, const std::string& fingerprint) {
  json options = json::object();
  for (const auto& option : run.table.options()) options[option.key] = text_of(option);
  return {{"options", options}, {"schema", to_json(schema)}, {"data", fingerprint}, {"versions", versions()}};
}

std::vector<std::string> differences(const json& about, const Run& run, const std::string& fingerprint) {
  static const std::set<std::string> harmless = {"data.folder",
                                                 "data.on_bad",
                                                 "data.verify",
                                                 "data.stage",
                                                 "data.cache",
                                                 "steps",
                                                 "device",
                                                 "threads",
                                                 "loader.threads",
                                                 "loader.prefetch",
                                                 "loader.readahead",
                                                 "tick.every",
                                                 "sample.every",
                                                 "watch.timeout",
                                                 "watch.interface",
                                                 "digest.every",
                                                 "checkpoint.every",
                                                 "checkpoint.keep",
                                                 "checkpoint.milestones",
                                                 "checkpoint.best",
                                                 "checkpoint.best_is",
                                                 "checkpoint.async",
                                                 "checkpoint.on_error",
                                                 "metrics.every",
                                                 "metrics.names",
                                                 "metrics.samples"};
  std::vector<std::string> found;
  const auto compare = [&](const std::string& what, const std::string& before, const std::string& now) {
    if (before != now) found.push_back(fmt::format("{}: {} in the checkpoint, {} now", what, before, now));
  };
  const json& options = object_at(about, "options");
  for (const OptionTable::Option& option : run.table.options())
    if (!harmless.contains(option.key))
      compare(option.key, options.value(option.key, option.standard), text_of(option));
  compare("fingerprint of the data set", text_at(about, "data"), fingerprint);
  return found;
}

}  // namespace saddle
