#include "data/picture.h"

#include "data/jpeg.h"
#include "data/pack/resize.h"
#include "data/png.h"
#include "dist/error.h"
#include "dist/file.h"

namespace saddle {
namespace {

bool is_png(std::string_view bytes) {
  return bytes.starts_with("\x89PNG\r\n\x1a\n");
}
bool is_jpeg(std::string_view bytes) {
  return bytes.starts_with("\xff\xd8\xff");
}

[[noreturn]] void fail_kind(const std::string& name, std::string_view bytes) {
  fail(Exit::data, "{}: expected a PNG or JPEG, found {}", name,
       bytes.empty() ? "an empty file" : "a file that begins like neither");
}

torch::Tensor recolour(const torch::Tensor& picture, int64_t channels) {
  return fit(picture, {.channels = channels, .size = {picture.size(1), picture.size(2)}});
}

std::string read_bytes(const std::string& path) try { return read_file(path); } catch (const Error& error) {
  fail(Exit::data, "{}", error.what());
}

}  // namespace

PictureInfo picture_info(const std::string& name, std::string_view bytes) {
  if (is_png(bytes)) return png_info(name, bytes);
  if (is_jpeg(bytes)) return jpeg_info(name, bytes);
  fail_kind(name, bytes);
}

torch::Tensor decode_picture(const std::string& name, std::string_view bytes) {
  if (is_png(bytes)) return decode_png(name, bytes, Palette::colours);
  if (is_jpeg(bytes)) return decode_jpeg(name, bytes);
  fail_kind(name, bytes);
}

torch::Tensor decode_mask(const std::string& name, std::string_view bytes) {
  return recolour(is_png(bytes) ? decode_png(name, bytes, Palette::indices) : decode_picture(name, bytes), 1);
}

torch::Tensor read_picture(const std::string& path, int64_t channels) {
  require(channels == 1 || channels == 3, Exit::bug, "read_picture: {} channels", channels);
  return recolour(decode_picture(path, read_bytes(path)), channels);
}

void write_png(const std::string& path, const torch::Tensor& picture) {
  write_file(path, encode_png(picture));
}

}  // namespace saddle
