// Which checkpoint of a run a command takes: the newest, the best, or that of a step.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dist/checkpoint.h"

namespace saddle {

// The one of the lowest score (checkpoint.best), among equals the newest; nothing if none has one.
std::optional<int64_t> best_step(const std::vector<Published>& found);

// Collective. `which` is "" for the newest whole one, "best", or the number of a step. Nothing if there is no
// checkpoint at all. Exit::data if the wanted one is not there, and names those that are, or if it is
// damaged.
std::optional<Checkpoint> load_chosen(const Comm& comm, const std::string& folder, const std::string& which);

}  // namespace saddle
