// Pictures: PNG and JPEG in, PNG out, and the two layouts users look at.
#pragma once

#include "dist/tensor.h"

#include <string>

namespace saddle {

// uint8 [channels, H, W]; channels 1 (grey), 3 (RGB). Files of other kinds are converted (alpha over black).
// Exit::data with the path and the decoder's reason for a file that is no PNG or JPEG, or is corrupt.
torch::Tensor read_picture(const std::string& path, int64_t channels);
// What a file's header says; reads no pixels. Exit::data as above.
struct PictureSize {
  int64_t channels = 0, height = 0, width = 0;  // channels 1 (grey) or 3
  bool operator==(const PictureSize&) const = default;
};
PictureSize picture_size(const std::string& path);
// uint8 [1 or 3, H, W]; to a temporary name, then renamed. Exit::io with the path and reason.
void write_png(const std::string& path, const torch::Tensor& picture);

// floats in [-1, 1], [N, C, H, W] -> uint8 [C, rows * (H + gap) + gap, columns * (W + gap) + gap]; small
// images are enlarged by a whole factor so that the grid is at least 512 wide. columns = 0: about square.
torch::Tensor grid(const torch::Tensor& images, int64_t columns = 0);
// Points [N, 2] of real (grey) and fake (colour) on one square uint8 [3, side, side].
torch::Tensor scatter(const torch::Tensor& real, const torch::Tensor& fake, int64_t side = 512);

}  // namespace saddle
