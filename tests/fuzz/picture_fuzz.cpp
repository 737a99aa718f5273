// One picture of any format, as it comes out of an archive. The checksums of PNG's chunks are made to fit,
// else no change would come past them.
#include <zlib.h>

#include "data/view/picture.h"
#include "tests/fuzz/fuzz.h"

namespace saddle::fuzz {
namespace {

uint32_t word(const std::string& bytes, size_t at) {
  uint32_t out = 0;
  for (size_t i = 0; i < 4; ++i) out = out << 8 | uint8_t(bytes[at + i]);
  return out;
}

void make_checksums_fit(std::string& png) {
  for (size_t at = 8; at + 12 <= png.size();) {
    const size_t length = word(png, at);
    if (length > png.size() - at - 12) return;
    const auto* chunk = reinterpret_cast<const Bytef*>(png.data() + at + 4);
    const uLong crc = crc32(0, chunk, uInt(length + 4));
    for (size_t i = 0; i < 4; ++i) png[at + 8 + length + i] = char(crc >> (24 - 8 * i));
    at += length + 12;
  }
}

}  // namespace
}  // namespace saddle::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saddle;
  std::string bytes(fuzz::view(data, size));
  if (bytes.starts_with("\x89PNG")) fuzz::make_checksums_fit(bytes);
  const std::string name = "x";
  constexpr int64_t kMost = 1 << 20;  // larger ones are slow, and nothing else
  fuzz::survive([&] {
    const PictureInfo info = picture_info(name, bytes);
    if (info.height > kMost / info.width) return;
    fuzz::survive([&] {
      const torch::Tensor picture = decode_picture(name, bytes);
      fuzz::check(
          picture.size(0) == info.channels && picture.size(1) == info.height && picture.size(2) == info.width,
          "the picture of the header");
      fit(picture, {.channels = 3, .size = {3, 5}});
    });
    decode_mask(name, bytes);
  });
  return 0;
}
