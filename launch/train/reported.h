// The numbers that a run will report, known before its first step.
#pragma once

#include <string>
#include <vector>

#include "launch/run/train_options.h"

namespace saddle {

// On one rank, on its cpu: what a copy of the system reports in a step on zeros, of a batch as small as its
// losses allow.
std::vector<std::string> reported_names(const Run& run, const Schema& schema);

// On one rank. Exit::usage names what there is if checkpoint.best is none of it.
void require_reported(const Run& run, const Schema& schema);

}  // namespace saddle
