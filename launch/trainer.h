// The training loop. It runs a system's table and never learns a GAN's name.
#pragma once

#include <functional>
#include <memory>

#include "data/loader.h"
#include "launch/train_options.h"
#include "models/system.h"

namespace saddle {

// Collective. One optimizer step of the phase's player on what `step` holds; all other players are frozen.
void optimise(System& system, const Phase& phase, Step& step);

class Trainer {
 public:
  // Collective. Exit::usage if the batch does not divide among the ranks.
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
  Draw::Where where() const;

  const TrainOptions options_;
  Comm comm_;
  System system_;
  Loader loader_;
  Stats stats_;
  int64_t number_ = 0;
};

}  // namespace saddle
