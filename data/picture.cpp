#include "data/picture.h"

#include <png.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "data/jpeg.h"
#include "dist/error.h"
#include "dist/file.h"

namespace saddle {
namespace {

// libpng's simplified interface: reports errors in `message` and needs no setjmp.
class Png {
 public:
  Png() {
    std::memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
  }
  ~Png() { png_image_free(&image); }
  Png(const Png&) = delete;
  png_image image;
};

bool is_png(const std::string& bytes) {
  return bytes.starts_with("\x89PNG\r\n\x1a\n");
}
bool is_jpeg(const std::string& bytes) {
  return bytes.starts_with("\xff\xd8\xff");
}

void open_png(Png& png, const std::string& path, const std::string& bytes) {
  require(png_image_begin_read_from_memory(&png.image, bytes.data(), bytes.size()), Exit::data,
          "{}: damaged PNG: {}", path, png.image.message);
  png.image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;  // what every 16-bit PNG without gamma means in practice
}

// Over black, then to luma (ITU-R 601) for one channel; grey stays exactly what it was.
torch::Tensor from_rgba(const std::vector<uint8_t>& rgba, int64_t channels, int64_t height, int64_t width) {
  torch::Tensor out = torch::empty({channels, height, width}, torch::kByte);
  uint8_t* to = out.data_ptr<uint8_t>();
  const int64_t area = height * width;
  for (int64_t i = 0; i < area; ++i) {
    const uint8_t* p = rgba.data() + 4 * i;
    const auto over = [&](int c) { return (p[c] * p[3] + 127) / 255; };
    if (channels == 1)
      to[i] = uint8_t((19595 * over(0) + 38470 * over(1) + 7471 * over(2) + 32768) >> 16);
    else
      for (int c = 0; c < 3; ++c) to[c * area + i] = uint8_t(over(c));
  }
  return out;
}

torch::Tensor read_png(const std::string& path, const std::string& bytes, int64_t channels) {
  Png png;
  open_png(png, path, bytes);
  png.image.format = PNG_FORMAT_RGBA;
  std::vector<uint8_t> rgba(PNG_IMAGE_SIZE(png.image));
  require(png_image_finish_read(&png.image, nullptr, rgba.data(), 0, nullptr), Exit::data,
          "{}: damaged PNG: {}", path, png.image.message);
  return from_rgba(rgba, channels, png.image.height, png.image.width);
}

PictureSize png_size(const std::string& path, const std::string& bytes) {
  Png png;
  open_png(png, path, bytes);
  return {.channels = png.image.format & PNG_FORMAT_FLAG_COLOR ? 3 : 1,
          .height = png.image.height,
          .width = png.image.width};
}

[[noreturn]] void fail_kind(const std::string& path, const std::string& bytes) {
  fail(Exit::data, "{}: expected a PNG or JPEG, found {}", path,
       bytes.empty() ? "an empty file" : "a file that begins like neither");
}

std::string read_bytes(const std::string& path) try { return read_file(path); } catch (const Error& error) {
  fail(Exit::data, "{}", error.what());
}

}  // namespace

torch::Tensor read_picture(const std::string& path, int64_t channels) {
  require(channels == 1 || channels == 3, Exit::bug, "read_picture: {} channels", channels);
  const std::string bytes = read_bytes(path);
  if (is_png(bytes)) return read_png(path, bytes, channels);
  if (is_jpeg(bytes)) return read_jpeg(path, bytes, channels);
  fail_kind(path, bytes);
}

PictureSize picture_size(const std::string& path) {
  const std::string bytes = read_bytes(path);
  if (is_png(bytes)) return png_size(path, bytes);
  if (is_jpeg(bytes)) return jpeg_size(path, bytes);
  fail_kind(path, bytes);
}

void write_png(const std::string& path, const torch::Tensor& picture) {
  require(picture.dim() == 3 && picture.scalar_type() == torch::kByte &&
              (picture.size(0) == 1 || picture.size(0) == 3),
          Exit::bug, "write_png: expected uint8 [1 or 3, H, W], found {} [{}]",
          torch::toString(picture.scalar_type()), fmt::join(picture.sizes(), ", "));
  const torch::Tensor pixels = picture.cpu().permute({1, 2, 0}).contiguous();
  Png png;
  png.image.width = uint32_t(pixels.size(1));
  png.image.height = uint32_t(pixels.size(0));
  png.image.format = pixels.size(2) == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  const std::string draft = path + ".tmp";
  require(png_image_write_to_file(&png.image, draft.c_str(), 0, pixels.data_ptr<uint8_t>(), 0, nullptr),
          Exit::io, "{}: cannot write: {}", path, png.image.message);
  std::error_code error;
  std::filesystem::rename(draft, path, error);
  require(!error, Exit::io, "{}: cannot write: {}", path, error.message());
}

}  // namespace saddle
