// Pictures of one size become pictures of another, in the colours asked for.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "dist/tensor.h"

namespace saddle {

struct ImageSize {
  int64_t height = 0, width = 0;
  bool operator==(const ImageSize&) const = default;
};

// How a picture is brought to its place in a data set.
struct Fit {
  int64_t channels = 3;  // 1, 3 or 4
  ImageSize size;
  int64_t bits = 8;                 // 8 or 16
  std::string filter = "bilinear";  // as `resize` takes them
  // center: the largest centred part of the wanted aspect; none: stretch; pad: all of it
  std::string crop = "center";
  std::array<uint8_t, 3> background = {};  // behind transparent pixels, and around (transparent) with `pad`
};

// `picture` is uint8 or uint16 [1 | 2 (grey, alpha) | 3 | 4, H, W]; returns [channels, height, width], uint8
// or uint16. Grey is ITU-R 601's luma. Filters are antialiased, as Pillow computes them. Transparent colours
// do not bleed. Exit::usage for an unknown crop or filter.
torch::Tensor fit(const torch::Tensor& picture, const Fit& how);

// Resizes [C, H, W] of uint8, uint16 or float32 by box, bilinear, bicubic or lanczos: the separable kernel
// grows with the reduction, its weights normalised at the borders (as Pillow's Resample.c; of 8 bits the very
// same, to version 12, which resized columns first). Or by nearest, for masks and indices. Exit::usage for
// another filter.
torch::Tensor resize(const torch::Tensor& picture, ImageSize size, const std::string& filter);

std::array<uint8_t, 3> parse_colour(const std::string& text);  // "RRGGBB"; Exit::usage

}  // namespace saddle
