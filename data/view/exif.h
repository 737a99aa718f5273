// EXIF's orientation: how a camera was held, and how a picture is turned upright.
#pragma once

#include <string_view>

#include "dist/tensor.h"

namespace saddle {

// `exif` is a TIFF header with what follows, "Exif\0\0" before it or not. 1 to 8; 1, which turns nothing,
// where none is stated or the bytes are damaged, since EXIF is beside the pixels.
int exif_orientation(std::string_view exif);

// [C, H, W] -> [C, H, W], or [C, W, H] for orientations from 5.
torch::Tensor upright(const torch::Tensor& picture, int orientation);

}  // namespace saddle
