// A training's start in its folder: as a new run, or from a run's newest checkpoint.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>

#include "dist/checkpoint.h"
#include "launch/run/run_lock.h"
#include "launch/train/prepare.h"
#include "launch/train/tournament.h"

namespace saddle {

struct Opened {
  std::unique_ptr<RunLock> lock;             // on the rank that holds it
  nlohmann::json facts;                      // go into checkpoints
  std::unique_ptr<Tournament> tournament;    // of several trainers
  std::unique_ptr<Measurement> measurement;  // metrics.every
};

// Collective. Claims the folder, restores the trainer where --resume finds a checkpoint, else takes what
// --init-from names; says what will be trained.
Opened open_or_resume(Prepared& prepared);

// The differences to the run of the checkpoint are an Exit::usage, or warnings with --force: then `facts`
// remember them.
void require_same_run(const Checkpoint& checkpoint, const Plan& plan, nlohmann::json& facts);

}  // namespace saddle
