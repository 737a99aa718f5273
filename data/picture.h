// Pictures: PNG and JPEG in, PNG out, and the two layouts users look at.
#pragma once

#include "dist/tensor.h"

#include <string>
#include <string_view>

namespace saddle {

// What a picture's header says.
struct PictureInfo {
  int64_t channels = 0;  // 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA
  int64_t height = 0, width = 0;
  int64_t bits = 8;  // 8 or 16; fewer are expanded to 8
  bool operator==(const PictureInfo&) const = default;
};

// Below, `name` is what errors call the picture, `bytes` the content of its file. Exit::data with the
// decoder's reason if they are no PNG or JPEG, are damaged, or claim more pixels than 2^28 or than so few
// bytes can hold. Thread-safe; sample values are the file's, whatever gamma, profile or orientation it
// declares.
PictureInfo picture_info(const std::string& name, std::string_view bytes);  // the head of a file is enough
// uint8 or uint16 [1 | 2 | 3 | 4, H, W]; palettes are looked up, CMYK is converted.
torch::Tensor decode_picture(const std::string& name, std::string_view bytes);
// uint8 [1, H, W]: the indices of a picture with a palette, the luma of others.
torch::Tensor decode_mask(const std::string& name, std::string_view bytes);

// uint8 [channels, H, W]; channels 1 (grey), 3 (RGB). Files of other kinds are converted (alpha over black).
// Exit::data as above, and for a file that cannot be read.
torch::Tensor read_picture(const std::string& path, int64_t channels);
// `picture` is uint8 or uint16 [1 | 2 | 3 | 4, H, W]; `level` is deflate's, 0 to 9.
std::string encode_png(const torch::Tensor& picture, int level = 6);
// To a temporary name, then renamed. Exit::io with the path and reason.
void write_png(const std::string& path, const torch::Tensor& picture);

// floats in [-1, 1], [N, C, H, W] -> uint8 [C, rows * (H + gap) + gap, columns * (W + gap) + gap]; small
// images are enlarged by a whole factor so that the grid is at least 512 wide. columns = 0: about square.
torch::Tensor grid(const torch::Tensor& images, int64_t columns = 0);
// Points [N, 2] of real (grey) and fake (colour) on one square uint8 [3, side, side].
torch::Tensor scatter(const torch::Tensor& real, const torch::Tensor& fake, int64_t side = 512);

}  // namespace saddle
