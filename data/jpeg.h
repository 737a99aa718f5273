// JPEG for picture.cpp; libjpeg's longjmp stays in jpeg.cpp.
#pragma once

#include <string>
#include <string_view>

#include "data/picture.h"

namespace saddle {

torch::Tensor decode_jpeg(const std::string& name, std::string_view bytes);
PictureInfo jpeg_info(const std::string& name, std::string_view bytes);

}  // namespace saddle
