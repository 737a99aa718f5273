// A training before anything of it is on disk: what its flags say, then its data and nets. The training, its
// --dry-run and `saddle launch` come to it alike, so that all refuse the same.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launch/engine/trainer.h"
#include "launch/evaluate/metric.h"
#include "launch/run/run_folder.h"
#include "launch/train/teams.h"
#include "launch/train/train_flags.h"
#include "launch/train/watching.h"

namespace saddle {

// What the flags of one process say.
struct Plan {
  // Resolves the options: of the recipe, or of the run in --out with --resume alone. Exit::usage.
  explicit Plan(TrainFlags given);
  TrainFlags flags;  // --trainers as it is meant
  Run run;
  std::optional<double> max_time;
  TraceSteps trace;
};

// The option watch.interface, before the ranks know each other; empty where the options are wrong, which is
// told later.
std::string watch_interface(const TrainFlags& flags);

// On one rank; reads the folders and writes nothing. Exit::usage if data or --out are missing, if --out holds
// a run and --resume was not passed, or what is no run.
void require_places(const Plan& plan);

struct Prepared {
  Plan& plan;
  const Teams& teams;
  uint64_t seed;  // of the first trainer
  RunFolder folder;
  std::vector<Feed> feeds;
  std::shared_ptr<Dataset> data;
  std::unique_ptr<Trainer> trainer;
  std::vector<Metric> metrics;  // that are measured while training: metrics.every
  MetricContext context;        // of those
};
// Collective. Opens the data and builds the nets; gives each trainer of `plan` its seed.
Prepared prepare(Plan& plan, const Teams& teams);

// What is not wrong and yet hardly meant, a line each; `fresh` says that no checkpoint is gone on from.
std::vector<std::string> doubts(const Prepared& prepared, bool fresh);

}  // namespace saddle
