// The training loop. It runs a system's table and never learns a GAN's name.
#pragma once

#include <functional>
#include <memory>

#include "data/feed/loader.h"
#include "launch/engine/graphs.h"
#include "launch/run/train_options.h"

namespace saddle {

class Trainer {
 public:
  // Collective. Exit::usage if the batch does not divide into run.options.accumulate parts.
  // `capture` makes graphs of the phases' steps; without one they run as they come.
  Trainer(const Run& run, Comm comm, std::vector<Feed> feeds, const Capture& capture);
  // One data set, in the order that the options say.
  Trainer(const Run& run, Comm comm, std::shared_ptr<Dataset> data, const Capture& capture);
  // With CUDA's capture where run.options.cuda_graphs asks for it and the device has it.
  Trainer(const Run& run, Comm comm, std::vector<Feed> feeds);
  Trainer(const Run& run, Comm comm, std::shared_ptr<Dataset> data);

  // Collective. One step of the table: every due phase, each repetition one optimizer step.
  void step();
  int64_t steps() const { return number_; }  // done
  System& system() { return system_; }
  // Whether a capture may make a graph of this phase: it has a loss, and nothing of it changes on the host.
  bool captures(const Phase& phase) const;
  Stats& stats() { return stats_; }
  const Loader& loader() const { return loader_; }
  const Comm& comm() const { return comm_; }
  int64_t state_bytes();          // of what `visit` shows: weights, buffers, moments, averages
  int64_t gradient_bytes();       // of all players
  double batches_a_step() const;  // that the table reads, averaged over the training
  // All that the next step depends on.
  void visit(StateVisitor& visitor);

 private:
  // `accumulate` parts: each a batch of the loader's, divided among the ranks, so that a part's samples are
  // the same on any number of ranks.
  std::vector<Part> next_parts();
  Draw::Where where() const;
  StepRule rule() const { return {.clip = options_.clip, .skip = options_.nonfinite == "skip"}; }
  void optimise(size_t phase, Step& step, const std::vector<Part>& parts);

  const TrainOptions options_;
  Comm comm_;
  System system_;
  Loader loader_;
  Stats stats_;
  std::vector<StepGraph> graphs_;  // by phase; none without capture
  int64_t number_ = 0;
};

}  // namespace saddle
