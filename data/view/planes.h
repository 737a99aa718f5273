// Pixels between the order of files, [H, W, C], and ours, [C, H, W]; and the largest picture we decode.
#pragma once

#include "dist/tensor.h"

#include <string>

#include "dist/error.h"

namespace saddle {

template <class T>
torch::Tensor to_planes(const T* pixels, int64_t channels, int64_t height, int64_t width) {
  torch::Tensor out = torch::empty({channels, height, width}, sizeof(T) == 1 ? torch::kByte : torch::kUInt16);
  T* to = out.data_ptr<T>();
  const int64_t area = height * width;
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t i = 0; i < area; ++i) to[c * area + i] = pixels[i * channels + c];
  return out;
}

template <class T>
void from_planes(const T* planes, int64_t channels, int64_t area, T* to) {
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t i = 0; i < area; ++i) to[i * channels + c] = planes[c * area + i];
}

// A header of a few bytes may claim gigabytes. `most` is how many pixels a byte of such a file can hold.
inline void require_plausible(const std::string& name, int64_t height, int64_t width, int64_t bytes,
                              int64_t most) {
  constexpr int64_t kLargest = int64_t{1} << 28;
  require(height > 0 && width > 0 && height <= kLargest / width, Exit::data,
          "{}: {}x{} pixels, more than {} are not decoded", name, height, width, kLargest);
  require(height * width / most <= bytes, Exit::data,
          "{}: damaged: claims {}x{} pixels, which {} bytes cannot hold", name, height, width, bytes);
}

}  // namespace saddle
