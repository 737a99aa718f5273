// PNG for picture.cpp; libpng's longjmp stays in png.cpp.
#pragma once

#include <string>
#include <string_view>

#include "data/picture.h"

namespace saddle {

enum class Palette { colours, indices };  // what the pixels of a picture with a palette become

torch::Tensor decode_png(const std::string& name, std::string_view bytes, Palette palette);
PictureInfo png_info(const std::string& name, std::string_view bytes);

}  // namespace saddle
