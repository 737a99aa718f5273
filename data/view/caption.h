// Words on sheets of pictures.
#pragma once

#include <string>
#include <vector>

#include "dist/tensor.h"

namespace saddle {

// uint8 [3, H, width], black on white: each text at the left of its equal share of the width, cut to fit.
// Letters beyond ASCII are question marks.
torch::Tensor captions(const std::vector<std::string>& texts, int64_t width);

}  // namespace saddle
