// A training that leaves nothing behind, and what each of its steps did when: the spans of the trace and the
// collectives of the flight record.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dist/trace.h"
#include "launch/engine/trainer.h"

namespace saddle::bench {

struct TrainingOptions {
  std::string recipe, data, synthetic;  // synthetic: "3x64x64", random images instead of data
  std::vector<std::string> sets;
  int64_t steps = 50, warm_up = 10;
  bool json = false;
};

// Seconds of trace::now(). A reduction overlaps the backward pass that enters it, any other collective is
// waited for at once.
struct Collective {
  std::string name, doing;
  int64_t bytes;
  double entered, left;
  bool overlaps() const { return name.find(" bucket ") != std::string::npos; }
};

struct RecordedStep {
  double begin, end;
  std::vector<trace::Event> events;
  std::vector<Collective> collectives;  // in order; none on one rank
};

struct Recording {
  Comm comm;
  int64_t batch;
  std::string about;  // one line
  std::vector<RecordedStep> steps;
};

// Collective. Trains for warm_up + steps steps; the steps after the warm-up are recorded.
Recording record(World& world, const TrainingOptions& options);

double median(std::vector<double> values);

}  // namespace saddle::bench
