#include "launch/run_folder.h"

#include <filesystem>
#include <set>

#include "dist/error.h"
#include "dist/file.h"
#include "launch/versions.h"

namespace saddle {

namespace fs = std::filesystem;
using nlohmann::json;

void RunFolder::create(bool resume) const {
  const bool holds_run = fs::exists(options());
  require(resume || !holds_run, Exit::usage,
          "'{}' already holds a run: pass --resume to go on with it, or choose another --out", path_);
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
  if (std::ifstream in(log_file()); in)
    for (std::string line; std::getline(in, line);) {
      const json entry = json::parse(line, nullptr, false);
      if (!entry.is_discarded() && entry.value("step", int64_t{0}) <= step) kept += line + "\n";
    }
  write_file(log_file(), kept);
  log_.open(log_file(), std::ios::app);
}

void RunFolder::log(const json& line) {
  log_ << line.dump() << std::endl;
  require(log_.good(), Exit::io, "cannot write '{}': is the disk full?", log_file());
}

std::string RunFolder::sample(int64_t step) const {
  return fmt::format("{}/samples/step-{:06}.png", path_, step);
}

json about(const Run& run, const Schema& schema, const std::string& fingerprint) {
  json options = json::object();
  for (const auto& option : run.table.options()) options[option.key] = text_of(option);
  return {{"options", options}, {"schema", to_json(schema)}, {"data", fingerprint}, {"versions", versions()}};
}

std::vector<std::string> differences(const json& about, const Run& run, const std::string& fingerprint) {
  static const std::set<std::string> harmless = {"data.folder",      "data.on_bad",
                                                 "data.verify",      "data.stage",
                                                 "data.cache",       "steps",
                                                 "device",           "threads",
                                                 "loader.threads",   "loader.prefetch",
                                                 "loader.readahead", "tick.every",
                                                 "sample.every",     "watch.timeout",
                                                 "digest.every",     "checkpoint.every",
                                                 "checkpoint.keep",  "checkpoint.milestones",
                                                 "checkpoint.best",  "checkpoint.best_is",
                                                 "checkpoint.async", "checkpoint.on_error"};
  std::vector<std::string> found;
  const auto compare = [&](const std::string& what, const std::string& before, const std::string& now) {
    if (before != now) found.push_back(fmt::format("{}: {} in the checkpoint, {} now", what, before, now));
  };
  const json& options = about.at("options");
  for (const OptionTable::Option& option : run.table.options())
    if (!harmless.contains(option.key))
      compare(option.key, options.value(option.key, option.standard), text_of(option));
  compare("fingerprint of the data set", about.at("data").get<std::string>(), fingerprint);
  return found;
}

}  // namespace saddle
