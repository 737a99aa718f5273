// The decoders behind picture.cpp, one a file: the libraries, their longjmps and their handlers stay in
// there. None of them turns a picture; sizes and pixels are those of the file.
#pragma once

#include <string>
#include <string_view>

#include "data/view/picture.h"

namespace saddle {

enum class Palette { colours, indices };  // what the pixels of a picture with a palette become

struct Decoded {
  torch::Tensor pixels;
  int orientation = 1;
};

PictureInfo png_info(const std::string& name, std::string_view bytes);
Decoded decode_png(const std::string& name, std::string_view bytes, Palette palette);

PictureInfo jpeg_info(const std::string& name, std::string_view bytes);
Decoded decode_jpeg(const std::string& name, std::string_view bytes, Palette);

PictureInfo webp_info(const std::string& name, std::string_view bytes);
Decoded decode_webp(const std::string& name, std::string_view bytes, Palette);

PictureInfo tiff_info(const std::string& name, std::string_view bytes);
Decoded decode_tiff(const std::string& name, std::string_view bytes, Palette palette);

PictureInfo bmp_info(const std::string& name, std::string_view bytes);
Decoded decode_bmp(const std::string& name, std::string_view bytes, Palette palette);

}  // namespace saddle
