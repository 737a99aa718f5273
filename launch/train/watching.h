// What a training run keeps an eye on besides its losses: that ranks make progress, hold the same state, and
// are equally fast; and the trace of some steps.
#pragma once

#include <nlohmann/json.hpp>

#include "launch/engine/trainer.h"

namespace saddle {

// The steps [from, until) to trace; none if equal.
struct TraceSteps {
  int64_t from = 0, until = 0;
};
TraceSteps parse_trace(const std::string& text);  // "steps=100:110"; Exit::usage

class Watching {
 public:
  Watching(Trainer& trainer, const TrainOptions& options, TraceSteps trace, std::string trace_file);

  // Collective, around each step. `after` checks the digest and ends the trace when they are due.
  void before_step();
  void after_step();
  // Collective. The digest, unless this step's was compared already: before a checkpoint, so that none holds
  // state that has drifted.
  void check_state();
  // Collective. Of the steps since the last tick, by rank, in ms: median and 90th percentile of the time not
  // spent waiting for other ranks. Warns of a rank that is much slower than the others.
  nlohmann::json tick();

 private:
  Trainer& trainer_;
  const TrainOptions& options_;
  TraceSteps trace_;
  std::string trace_file_;
  double began_ = 0, waited_ = 0;  // this step; of flight::waited
  double longest_ = 0;             // step of the last tick
  int64_t checked_ = -1;           // step of the last digest
  int slow_ticks_ = 0;             // in a row, with the same straggler
  int straggler_ = -1;
  std::vector<double> busy_;  // seconds a step, since the last tick
};

// A median much above the others' is a straggler's: its place, or -1. Pure, for tests.
int straggler(const std::vector<double>& medians);

}  // namespace saddle
