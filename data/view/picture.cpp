#include "data/view/picture.h"

#include <algorithm>

#include "data/view/codecs.h"
#include "data/view/exif.h"
#include "data/view/resize.h"
#include "dist/error.h"
#include "dist/file.h"

namespace saddle {
namespace {

using namespace std::string_view_literals;

struct Format {
  bool (*begins)(std::string_view bytes);
  PictureInfo (*info)(const std::string& name, std::string_view bytes);
  Decoded (*decode)(const std::string& name, std::string_view bytes, Palette palette);
  bool by_head = true;  // what its header says stands at the beginning
};

bool is_webp(std::string_view bytes) {
  return bytes.starts_with("RIFF") && bytes.substr(0, 12).ends_with("WEBP");
}
bool is_tiff(std::string_view bytes) {
  return bytes.starts_with("II*\0"sv) || bytes.starts_with("MM\0*"sv) || bytes.starts_with("II+\0"sv) ||
         bytes.starts_with("MM\0+"sv);
}

constexpr Format kFormats[] = {
    {[](std::string_view bytes) { return bytes.starts_with("\x89PNG\r\n\x1a\n"); }, png_info, decode_png},
    {[](std::string_view bytes) { return bytes.starts_with("\xff\xd8\xff"); }, jpeg_info, decode_jpeg},
    {is_webp, webp_info, decode_webp},
    {is_tiff, tiff_info, decode_tiff, false},
    {[](std::string_view bytes) { return bytes.starts_with("BM"); }, bmp_info, decode_bmp}};

// What people's folders hold under the names of pictures.
std::string_view describe(std::string_view bytes) {
  const std::string_view brand = bytes.substr(0, 12).substr(std::min<size_t>(bytes.size(), 4));
  if (bytes.empty()) return "an empty file";
  if (bytes.starts_with("GIF8")) return "a GIF";
  if (brand == "ftypavif" || brand == "ftypavis") return "an AVIF";
  if (brand.starts_with("ftyp")) return "a HEIC or a film";
  if (bytes.starts_with("\xff\x0a") || brand.starts_with("JXL ")) return "a JPEG XL";
  if (brand.starts_with("jP  ")) return "a JPEG 2000";
  if (bytes.starts_with("%PDF")) return "a PDF";
  if (bytes.starts_with("version https://git-lfs"))
    return "a pointer of Git LFS: fetch the file with git lfs pull";
  if (bytes.starts_with("<") || bytes.starts_with("\n<")) return "a page of HTML or XML";
  if (bytes.find_first_not_of('\0') == std::string_view::npos) return "zeros only";
  return "a file that begins like none of them";
}

const Format& format_of(const std::string& name, std::string_view bytes) {
  for (const Format& format : kFormats)
    if (format.begins(bytes)) return format;
  fail(Exit::data, "{}: expected a PNG, JPEG, WebP, TIFF or BMP, found {}", name, describe(bytes));
}

torch::Tensor decode(const std::string& name, std::string_view bytes, Palette palette, Exif exif) {
  const Decoded found = format_of(name, bytes).decode(name, bytes, palette);
  return exif == Exif::keep ? found.pixels : upright(found.pixels, found.orientation);
}

// 16 bits to 8 without a loss: numbers of classes, or grey that 8 bits have made.
torch::Tensor narrow_labels(const std::string& name, const torch::Tensor& mask) {
  const torch::Tensor values = mask.to(torch::kInt);
  if (values.max().item<int>() < 256) return values.to(torch::kByte);
  constexpr int kStep = 65535 / 255;
  require((values.remainder(kStep) == 0).all().item<bool>(), Exit::data,
          "{}: a mask of 16 bits with values up to {}, expected below 256: number its classes so, or save it "
          "with 8 bits",
          name, values.max().item<int>());
  return values.floor_divide(kStep).to(torch::kByte);
}

torch::Tensor recolour(const torch::Tensor& picture, int64_t channels) {
  return fit(picture, {.channels = channels, .size = {picture.size(1), picture.size(2)}});
}

std::string read_bytes(const std::string& path) try { return read_file(path); } catch (const Error& error) {
  fail(Exit::data, "{}", error.what());
}

}  // namespace

bool is_picture(const std::string& name) {
  std::string tail = name.substr(std::min(name.size(), name.rfind('.')));
  std::transform(tail.begin(), tail.end(), tail.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr const char* kTails[] = {".png",  ".jpg", ".jpeg", ".jpe", ".jfif",
                                    ".webp", ".tif", ".tiff", ".bmp", ".dib"};
  return std::find(std::begin(kTails), std::end(kTails), tail) != std::end(kTails);
}

PictureInfo picture_info(const std::string& name, std::string_view bytes, Exif exif) {
  PictureInfo out = format_of(name, bytes).info(name, bytes);
  if (exif == Exif::upright && out.orientation >= 5) std::swap(out.height, out.width);
  return out;
}

bool head_suffices(std::string_view head) {
  return std::any_of(std::begin(kFormats), std::end(kFormats),
                     [&](const Format& format) { return format.by_head && format.begins(head); });
}

void require_picture(const std::string& name, std::string_view head) {
  format_of(name, head);
}

torch::Tensor decode_picture(const std::string& name, std::string_view bytes, Exif exif) {
  return decode(name, bytes, Palette::colours, exif);
}

torch::Tensor decode_mask(const std::string& name, std::string_view bytes, Exif exif) {
  const torch::Tensor mask = decode(name, bytes, Palette::indices, exif);
  const bool wide = mask.scalar_type() == torch::kUInt16 && mask.size(0) == 1;
  return wide ? narrow_labels(name, mask) : recolour(mask, 1);
}

torch::Tensor read_picture(const std::string& path, int64_t channels) {
  require(channels == 1 || channels == 3, Exit::bug, "read_picture: {} channels", channels);
  return recolour(decode_picture(path, read_bytes(path)), channels);
}

void write_png(const std::string& path, const torch::Tensor& picture) {
  write_file(path, encode_png(picture));
}

}  // namespace saddle
