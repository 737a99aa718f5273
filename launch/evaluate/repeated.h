// Samples that are there already, of this program or another, as a system that draws them in their order.
#pragma once

#include <memory>
#include <string>

#include "data/dataset.h"
#include "models/system.h"

namespace saddle {

// A folder made by `saddle pack`, or a safetensors file with "image" [N, C, H, W], uint8 or floats in [-1, 1], and
// perhaps "label" int64 [N], as `saddle sample` writes it. Exit::usage for anything else.
std::shared_ptr<Dataset> open_samples(const std::string& path, const Field& label);

// Draws sample i of `samples` as its i-th; of so many at most.
System repeated(const std::shared_ptr<Dataset>& samples, const Comm& comm);

}  // namespace saddle
