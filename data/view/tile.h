// What contact sheets are made of: a sample's field as a small RGB picture, and how such are laid out. All
// pictures are uint8 [3, H, W].
#pragma once

#include <vector>

#include "data/schema.h"

namespace saddle {

struct TileRange {
  double low = 0, high = 255;  // the values that become black and white
};

// `value` is [shape...] of a pictorial field, `length` the steps of a variable one; at most 128 pixels high.
torch::Tensor tile(const Field& field, const torch::Tensor& value, int64_t length, const TileRange& range);

torch::Tensor beside(const std::vector<torch::Tensor>& tiles);     // a pixel apart
torch::Tensor stack_rows(const std::vector<torch::Tensor>& rows);  // under one another
// Rows of `columns` cells; small cells are enlarged by a whole factor until a row is 512 wide.
torch::Tensor lay_out(const std::vector<torch::Tensor>& cells, int64_t columns);

// Points [N, 2 or more], coloured by class if `labels` [N] is defined.
torch::Tensor scatter_by_class(const torch::Tensor& points, const torch::Tensor& labels);
torch::Tensor bars(const torch::Tensor& counts);  // int64 [N]

}  // namespace saddle
