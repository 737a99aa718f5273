// Weights of other programs' models in the nets of a system.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "launch/exchange/name_map.h"
#include "models/system.h"

namespace saddle {

struct Imported {
  std::vector<std::string> nets;    // that received weights
  std::vector<std::string> zeroed;  // biases that the file does not have
  int64_t tensors = 0;
};

// Copies `theirs` into the nets of `system`, live and average. Every tensor must find its place, and every
// tensor of a net that receives any must be found; but BatchNorm's num_batches_tracked is left out, and a
// bias missing beside its weight becomes 0, which is what bias=False computes. Else Exit::usage lists the
// names and shapes of both sides, and nothing is changed.
Imported import_weights(System& system, const std::map<std::string, torch::Tensor>& theirs,
                        const NameMap& map);

}  // namespace saddle
