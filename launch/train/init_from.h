// Transfer learning: the weights that a new run starts from.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "dist/comm.h"
#include "models/system.h"

namespace saddle {

// Collective over host ranks. Copies the weights of `source` into the nets of `system` where names and shapes
// are the same: of a run folder's checkpoint (live, averages and their age), which `step` names
// (choose_step.h), or of a safetensors file as `saddle export` writes it, for live and average alike.
// Optimizers start anew. The log says how many tensors were taken and names those that were not. Exit::usage
// if none was. Returns what the checkpoints say of it: source, step, tensors taken and not.
nlohmann::json init_from(const Comm& host, System& system, const std::string& source,
                         const std::string& step = "");

}  // namespace saddle
