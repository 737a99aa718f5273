// Coordinated checkpoints: every rank writes its share of the state, all agree, one rename publishes.
// CHECKPOINT.md gives the format. Loading does not depend on the number of ranks that saved.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "dist/comm.h"
#include "dist/state.h"

namespace saddle {

struct Checkpoint {
  int64_t step = 0;
  State state;
  nlohmann::json about;  // what the saver said of the run: system, options, data set, versions
  std::string folder;    // it was read from
};

// Collective. Publishes `folder`/step-XXXXXXXXXX and removes all but the newest `keep` (>= 1) published ones.
// The state is equal on all ranks; tensors are divided among them by bytes. On failure all ranks throw and
// nothing is published.
void save_checkpoint(const Comm& comm, const std::string& folder, const Checkpoint& checkpoint, int64_t keep);

// Collective. The newest published checkpoint that is whole, the same on every rank; warns of damaged newer
// ones and falls back. Nothing if there is none; Exit::data if there are some and none is whole.
std::optional<Checkpoint> load_checkpoint(const Comm& comm, const std::string& folder);
// The same for a process of its own, with no other rank.
std::optional<Checkpoint> load_checkpoint(const std::string& folder);

}  // namespace saddle
