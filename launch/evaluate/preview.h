// Pictures of what a system generates: a grid of images, or a scatter plot of points over the data's.
#pragma once

#include "launch/evaluate/draw.h"

namespace saddle {

// uint8 [3 or 1, H, W]. Images: a grid, of few classes in turn a column each under its name; of a system that
// makes images of images, what it was given beside what it made of it; of a classifier, images under
// the classes that it tells. Vectors: real points grey, generated
// ones in colour; of more than two dimensions the data's two principal ones. `schema` is of the data; they
// themselves may be null for images.
torch::Tensor preview(System& system, const Drawing& drawing, const Schema& schema, const Dataset* data);
// Real samples in the layout of `preview`, as a perfect generator's would look.
torch::Tensor real_preview(System& system, const Drawing& drawing, const Dataset& data);

}  // namespace saddle
