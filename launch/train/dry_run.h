// What a training would be, said before it starts.
#pragma once

#include <string>
#include <vector>

#include "launch/train/prepare.h"

namespace saddle {

// Collective. Data, labels, nets, ranks, length, memory and folder of the training on so many ranks in all,
// on `device` if that is known, and in what it differs from the defaults; Exit::usage if it could not go on
// with the run in --out.
std::string proof(Prepared& prepared, int64_t ranks, const std::string& device);

// What `saddle train --dry-run` with these arguments says on `ranks` ranks, or refuses. In this process
// alone, on the CPU, without writing anything.
std::string prove_train(std::vector<std::string> arguments, int64_t ranks);

}  // namespace saddle
