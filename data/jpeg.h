// JPEG decoding for picture.cpp; libjpeg's longjmp stays in jpeg.cpp.
#pragma once

#include <string>

#include "data/picture.h"

namespace saddle {

torch::Tensor read_jpeg(const std::string& path, const std::string& bytes, int64_t channels);
PictureSize jpeg_size(const std::string& path, const std::string& bytes);

}  // namespace saddle
