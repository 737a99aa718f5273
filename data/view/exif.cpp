#include "data/view/exif.h"

#include <cstdint>

namespace saddle {
namespace {

constexpr size_t kEntry = 12;  // tag, type, count, value
constexpr uint32_t kOrientation = 0x0112;

struct Reader {
  std::string_view bytes;
  bool little;

  uint32_t number(size_t at, size_t size) const {
    uint32_t out = 0;
    for (size_t k = 0; k < size; ++k) out = out << 8 | uint8_t(bytes[at + (little ? size - 1 - k : k)]);
    return out;
  }
};

// Of a byte, a short or a long, which all are written.
uint32_t value_of(const Reader& exif, size_t entry) {
  switch (exif.number(entry + 2, 2)) {
    case 1:
      return exif.number(entry + 8, 1);
    case 3:
      return exif.number(entry + 8, 2);
    case 4:
      return exif.number(entry + 8, 4);
    default:
      return 1;
  }
}

uint32_t find_orientation(const Reader& exif) {
  const size_t directory = exif.number(4, 4), size = exif.bytes.size();
  if (directory > size - 2) return 1;
  size_t entry = directory + 2;
  for (uint32_t left = exif.number(directory, 2); left > 0 && entry + kEntry <= size; --left, entry += kEntry)
    if (exif.number(entry, 2) == kOrientation) return value_of(exif, entry);
  return 1;
}

}  // namespace

int exif_orientation(std::string_view exif) {
  constexpr std::string_view kMark("Exif\0\0", 6);
  if (exif.starts_with(kMark)) exif.remove_prefix(kMark.size());
  const bool little = exif.starts_with("II");
  if (exif.size() < 8 || !(little || exif.starts_with("MM"))) return 1;
  const uint32_t found = find_orientation({.bytes = exif, .little = little});
  return found >= 1 && found <= 8 ? int(found) : 1;
}

torch::Tensor upright(const torch::Tensor& picture, int orientation) {
  if (orientation == 1) return picture;
  const auto dtype = picture.scalar_type();
  // Of uint16 LibTorch knows few operations.
  torch::Tensor out = dtype == torch::kUInt16 ? picture.view(torch::kShort) : picture;
  if (orientation >= 5) out = out.transpose(1, 2);
  // After that 2, 6: mirrored from left to right; 4, 8: from top to bottom; 3, 7: both.
  if (orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7) out = out.flip({2});
  if (orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8) out = out.flip({1});
  return out.contiguous().view(dtype);
}

}  // namespace saddle
