// The folder of a run: options.toml, log.jsonl, samples/, checkpoints/.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "dist/checkpoint.h"
#include "launch/run/train_options.h"

namespace saddle {

class RunFolder {
 public:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}

  // Exit::usage if it holds a run and `resume` is false.
  void require_free(bool resume) const;
  // On one rank. Makes the folder where a run may lie and none does, but for `resume`; else as require_free
  // and require_run_place. Exit::io if it is not writable.
  void create(bool resume) const;
  void save_options(const Run& run) const;
  // On one rank. Opens log.jsonl for appending, without the lines after `step` that a killed run left.
  void open_log(int64_t step);
  void log(nlohmann::json line);  // with the key "time", in UTC

  const std::string& path() const { return path_; }
  std::string options() const { return path_ + "/options.toml"; }
  std::string log_file() const { return path_ + "/log.jsonl"; }
  std::string checkpoints() const { return path_ + "/checkpoints"; }
  std::string lock() const { return path_ + "/run.lock"; }
  std::string trace() const { return path_ + "/trace.json"; }
  std::string sample(int64_t step) const;
  std::string real_samples() const;

 private:
  std::string path_;
  std::ofstream log_;
};

// That a run may lie in this folder: it is empty, not there, or holds nothing but what runs and their jobs
// write. Exit::usage names what is there instead. Reads only.
void require_run_place(const std::string& folder);

// What a checkpoint says of its run.
nlohmann::json about(const Run& run, const Schema& schema, const std::string& fingerprint);
// In what the run that a checkpoint is `about` is not this one on data of this fingerprint; but for lengths,
// intervals and what changes no number. Empty: in nothing. What an older program had no option for is as by
// default.
std::vector<std::string> differences(const nlohmann::json& about, const Run& run,
                                     const std::string& fingerprint);

}  // namespace saddle
