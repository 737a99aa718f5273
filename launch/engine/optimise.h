// One optimizer step of one phase: forward and backward of its loss on all parts of the batch, the gradient
// summed over the ranks, the step, and what follows it.
#pragma once

#include <vector>

#include "data/schema.h"
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

// Collective. One optimizer step of each of the phase's players on all `parts`, if it has a loss, and its
// work; all other players are frozen. The gradient is that of the mean loss over the global batch, also if
// parts or ranks hold different numbers of samples, or none. Spans of the trace: "D forward", "D backward",
// "D wait", "D optimizer", "D work".
void optimise(System& system, const Phase& phase, Step& step, const std::vector<Part>& parts,
              const StepRule& rule = {});

// Its two halves. `descend` is the device's work: the host only starts it, the same from step to step, so
// that it can be captured (graphs.h). `follow` runs what may count on the host: Player::after_step,
// Phase::work.
void descend(System& system, const Phase& phase, Step& step, const std::vector<Part>& parts,
             const StepRule& rule);
void follow(const Phase& phase, Step& step);

}  // namespace saddle
