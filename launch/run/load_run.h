// A finished or running training, opened from its folder for sampling and evaluation.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "data/dataset.h"
#include "dist/json.h"
#include "launch/run/open_data.h"

namespace saddle {

struct LoadedRun {
  Run run;
  std::unique_ptr<System> system;
  int64_t step = 0;
  nlohmann::json about;  // what the checkpoint says of the run
  Schema schema() const {
    return schema_from_json(value_at(about, "schema"));
  }  // of the data it was trained on
  // These data; Exit::data if that folder is gone.
  std::shared_ptr<Dataset> data() const { return shaped(open_data(run.options.data), run.options); }
};

// Shows what a checkpoint holds, as Trainer::visit does, without a trainer.
void visit_run(StateVisitor& visitor, int64_t& step, int64_t& position, System& system);

// Collective. From the checkpoint that `step` names (choose_step.h). Exit::usage if the folder holds no run
// or no such checkpoint.
std::unique_ptr<LoadedRun> load_run(const std::string& folder, const Comm& comm,
                                    const std::string& step = "");

}  // namespace saddle
