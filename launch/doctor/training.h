// What will be trained, and on what: the data set as every rank sees it, and the memory of the recipe's nets
// and of one real step. `check_` asks all ranks (collective); the judgements are pure.
#pragma once

#include "data/dataset.h"
#include "launch/doctor/report.h"
#include "launch/doctor/storage.h"
#include "launch/run/train_options.h"

namespace saddle::doctor {

struct OpenData {
  std::shared_ptr<Dataset> set;  // null if it does not open
  int64_t shards = 0;
};
// Opens it and reads `samples` of it, spread evenly, on each rank others.
Lines check_data(const Comm& comm, const std::string& folder, int64_t samples, double limit, OpenData& data);

// Builds the recipe's system and, if `step`, takes one step on this rank's share of the batch, on the CPU and
// without the other ranks. `available` is what this rank may use, in bytes; the attempt ends there. Changes
// the batch of `run`. `needed` becomes what the checkpoints kept will take.
Lines check_training(const Comm& comm, const std::shared_ptr<Run>& run, const OpenData& data, bool step,
                     int64_t available, double limit, Needed& needed);

// In bytes, of one rank.
struct Footprint {
  int64_t state = 0;  // as saved: weights, buffers, moments, averages
  int64_t gradients = 0;
  int64_t peak = 0;       // of building and one step
  int64_t samples = 0;    // of that step; 0: none was taken, and `peak` is the sum of the above
  bool measured = false;  // else extrapolated from a step of fewer samples
  int64_t available = 0;
  int64_t copy = 0;  // of this rank's share of the state while a checkpoint is written; part of `peak`
};
Verdict verdict_on_footprint(const Footprint& worst);

}  // namespace saddle::doctor
