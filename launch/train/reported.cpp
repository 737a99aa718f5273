#include "launch/train/reported.h"

#include <algorithm>

#include "data/dataset.h"
#include "data/feed/loader.h"
#include "dist/error.h"
#include "launch/engine/optimise.h"

namespace saddle {
namespace {

std::vector<std::string> names_of(const Run& run, const Schema& schema, int64_t samples) {
  System system = run.build(schema, run.context(World::alone()));
  Stats stats;
  Step step({.purpose = "names", .samples = {0, samples}, .dtype = run.dtype()}, 0, stats);
  const Part part{.batch = zero_rows(schema.fields, samples, torch::kCPU, run.dtype()),
                  .samples = {0, samples}};
  for (const Phase& phase : system.phases())
    optimise(system, phase, step, {part},
             {.clip = run.options.clip, .skip = run.options.nonfinite == "skip"});
  std::vector<std::string> names;
  for (const Moments& m : stats.tick(World::alone())) names.push_back(m.name);
  return names;
}

}  // namespace

std::vector<std::string> reported_names(const Run& run, const Schema& schema) {
  const int64_t part = std::max<int64_t>(1, run.options.batch / run.options.accumulate);
  // A loss that compares samples in groups wants a multiple of their size, which divides the batch.
  for (int64_t samples = 2; samples < part; ++samples) {
    if (part % samples != 0) continue;
    try {
      return names_of(run, schema, samples);
    } catch (const Error&) {  // too few
    }
  }
  return names_of(run, schema, part);
}

void require_reported(const Run& run, const Schema& schema) {
  const std::string& wanted = run.options.checkpoint_best;
  if (wanted.empty()) return;
  if (wanted.starts_with("metrics/") && run.options.metrics_every > 0) return;  // prepare_metrics looks
  const std::vector<std::string> names = reported_names(run, schema);
  require(std::find(names.begin(), names.end(), wanted) != names.end(), Exit::usage,
          "checkpoint.best = '{}' is no number that this run reports; there are {}, and with metrics.every "
          "metrics/fd and others{}",
          wanted, fmt::join(names, ", "), did_you_mean(wanted, names));
}

}  // namespace saddle
