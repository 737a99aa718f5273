// The training loop. It runs a system's table and never learns a GAN's name.
#pragma once

#include <functional>
#include <memory>

#include "data/loader.h"
#include "launch/train_options.h"
#include "models/system.h"

namespace saddle {

// How a player's gradient becomes its step. Decided from the summed gradient, hence alike on all ranks.
struct StepRule {
  double clip = 0;    // of the gradient's global L2 norm; 0: none
  bool skip = false;  // a gradient that is not finite, instead of taking the step; always with a loss scale
};

// A part of the global batch that goes through the nets at once: this rank's samples of it.
struct Part {
  Batch batch;
  Range samples;     // of the global batch
  double share = 1;  // of the global batch's samples
};

// Collective. One optimizer step of the phase's player on all `parts`; all other players are frozen. The
// gradient is that of the mean loss over the global batch, also if parts or ranks hold different numbers of
// samples, or none. Spans of the trace: "D forward", "D backward", "D wait", "D optimizer".
void optimise(System& system, const Phase& phase, Step& step, const std::vector<Part>& parts,
              const StepRule& rule = {});

class Trainer {
 public:
  // Collective. Exit::usage if the batch does not divide into run.options.accumulate parts.
  Trainer(const Run& run, Comm comm, std::shared_ptr<Dataset> data);

  // Collective. One step of the table: every due phase, each repetition one optimizer step.
  void step();
  int64_t steps() const { return number_; }  // done
  System& system() { return system_; }
  Stats& stats() { return stats_; }
  const Loader& loader() const { return loader_; }
  const Comm& comm() const { return comm_; }
  // All that the next step depends on.
  void visit(StateVisitor& visitor);

 private:
  // `accumulate` parts: each a batch of the loader's, divided among the ranks, so that a part's samples are
  // the same on any number of ranks.
  std::vector<Part> next_parts();
  Draw::Where where() const;

  const TrainOptions options_;
  Comm comm_;
  System system_;
  Loader loader_;
  Stats stats_;
  int64_t number_ = 0;
};

}  // namespace saddle
