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
  std::string filter = "bilinear";  // box, bilinear, bicubic, lanczos
  std::string crop =
      "center";  // center: the largest centred part of the wanted aspect; none: stretch; pad: all of it
  std::array<uint8_t, 3> background = {};  // behind transparent pixels, and around with `pad`
};

// `picture` is uint8 or uint16 [1 | 2 (grey, alpha) | 3 | 4, H, W]; returns [channels, height, width], uint8
// or uint16. Grey is ITU-R 601's luma. Filters are antialiased, as Pillow computes them.
torch::Tensor fit(const torch::Tensor& picture, const Fit& how);

// Resizes [C, H, W] of uint8, uint16 or float32; the separable kernel grows with the reduction, its weights
// normalised at the borders (Pillow's Resample.c computes the same within 1/255). Exit::usage for an unknown
// filter.
torch::Tensor resize(const torch::Tensor& picture, ImageSize size, const std::string& filter);

std::array<uint8_t, 3> parse_colour(const std::string& text);  // "RRGGBB"; Exit::usage

}  // namespace saddle
