// Pictures: PNG, JPEG, WebP, TIFF and BMP in, PNG out, and the two layouts users look at.
#pragma once

#include "dist/tensor.h"

#include <string>
#include <string_view>

namespace saddle {

// EXIF says how a camera was held: by default pictures are turned upright.
enum class Exif { upright, keep };

// What a picture's header says; height and width are those of the decoded picture.
struct PictureInfo {
  int64_t channels = 0;  // 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA
  int64_t height = 0, width = 0;
  int64_t bits = 8;     // 8 or 16; fewer are expanded to 8
  int orientation = 1;  // of EXIF or TIFF, 1 to 8, heeded or not; 1 is upright
  bool operator==(const PictureInfo&) const = default;
};

// Below, `name` is what errors call the picture, `bytes` the content of its file, which is told by its first
// bytes, whatever its name. Exit::data with the decoder's reason if it is no such picture, is damaged, moves
// or has several pages, or claims more pixels than 2^28 or than so few bytes can hold. What libraries remark
// on other things than pixels is no damage. Thread-safe; sample values are the file's, whatever gamma or
// profile it declares. The head of a file is enough where `head_suffices`; EXIF behind the pixels of a PNG is
// then not seen.
PictureInfo picture_info(const std::string& name, std::string_view bytes, Exif exif = Exif::upright);
bool is_picture(const std::string& name);  // by its ending
bool head_suffices(std::string_view head);
void require_picture(const std::string& name, std::string_view head);  // that it begins as one of them does
// uint8 or uint16 [1 | 2 | 3 | 4, H, W]; palettes are looked up, CMYK of a JPEG is converted.
torch::Tensor decode_picture(const std::string& name, std::string_view bytes, Exif exif = Exif::upright);
// uint8 [1, H, W]: the indices of a picture with a palette, the luma of others. Grey of 16 bits is taken as
// it is if it has values below 256 only, else it has to be a multiple of 257, as 8 bits in 16 are;
// Exit::data.
torch::Tensor decode_mask(const std::string& name, std::string_view bytes, Exif exif = Exif::upright);

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
