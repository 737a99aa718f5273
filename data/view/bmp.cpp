// BMP, of Windows and OS/2, read here: libraries fill in black where a file ends too early, and tell no
// indices.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "data/view/codecs.h"
#include "data/view/planes.h"
#include "dist/error.h"

namespace saddle {
namespace {

constexpr uint32_t kFileHeader = 14, kOldHeader = 12, kHeader = 40;
enum Coding : uint32_t { kPlain = 0, kMasks = 3, kMasksAndAlpha = 6 };

// One colour of a pixel of 16 or 32 bits.
struct Mask {
  uint32_t bits = 0;
  uint8_t value(uint32_t pixel) const {
    if (bits == 0) return 0;
    const uint32_t most = bits / (bits & -bits);
    return uint8_t(uint64_t((pixel & bits) / (bits & -bits)) * 255 / most);
  }
};

struct Bmp {
  const std::string& name;
  std::string_view bytes;
  int64_t width = 0, height = 0, bits = 0, first = 0, stride = 0;
  bool downwards = false;                            // the first row of the file is the upper one
  std::array<Mask, 4> masks = {};                    // red, green, blue, alpha
  std::vector<std::array<uint8_t, 3>> palette = {};  // of up to 8 bits
  bool grey = false;                                 // so are all colours of the palette

  uint32_t number(size_t at, size_t size) const {  // the lowest byte first
    require(at + size <= bytes.size(), Exit::data, "{}: damaged BMP: it ends too early", name);
    uint32_t out = 0;
    for (size_t k = size; k-- > 0;) out = out << 8 | uint8_t(bytes[at + k]);
    return out;
  }
  bool indexed() const { return bits <= 8; }
  int64_t channels() const { return indexed() ? (grey ? 1 : 3) : masks[3].bits ? 4 : 3; }
  void ensure(bool fine, const char* reason) const {
    require(fine, Exit::data, "{}: damaged BMP: {}", name, reason);
  }
};

void read_size(Bmp& bmp, uint32_t header) {
  const bool old = header == kOldHeader;
  bmp.width = old ? int64_t{bmp.number(18, 2)} : int64_t{int32_t(bmp.number(18, 4))};
  bmp.height = old ? int64_t{bmp.number(20, 2)} : int64_t{int32_t(bmp.number(22, 4))};
  bmp.downwards = bmp.height < 0;
  bmp.height = std::abs(bmp.height);
  bmp.ensure(bmp.width > 0 && bmp.height > 0, "no size");
  bmp.bits = bmp.number(old ? 24 : 28, 2);
  bmp.first = bmp.number(10, 4);
  constexpr int64_t kKinds[] = {1, 2, 4, 8, 16, 24, 32};
  bmp.ensure(std::count(std::begin(kKinds), std::end(kKinds), bmp.bits), "no such number of bits a pixel");
}

void read_masks(Bmp& bmp, uint32_t header, uint32_t coding) {
  if (bmp.bits == 16) bmp.masks = {Mask{0x7c00}, {0x3e0}, {0x1f}};
  if (bmp.bits == 24 || bmp.bits == 32) bmp.masks = {Mask{0xff0000}, {0xff00}, {0xff}};
  if (coding == kPlain) return;
  bmp.ensure(bmp.bits == 16 || bmp.bits == 32, "it has masks, but no pixels of 16 or 32 bits");
  // Behind the smallest header, or the newer ones' own fields at the same place.
  const size_t count = coding == kMasksAndAlpha || header >= kHeader + 16 ? 4 : 3;
  for (size_t k = 0; k < count; ++k) {
    Mask& mask = bmp.masks[k];
    mask.bits = bmp.number(kFileHeader + kHeader + 4 * k, 4);
    const uint64_t above =
        uint64_t{mask.bits} + (mask.bits & -mask.bits);  // a power of two if it has no holes
    bmp.ensure((above & (above - 1)) == 0, "a mask has holes");
  }
}

// As many colours as are said to be used, have room before the pixels, and can be told apart.
void read_palette(Bmp& bmp, uint32_t header) {
  const bool old = header == kOldHeader;
  const int64_t entry = old ? 3 : 4, from = kFileHeader + header, room = (bmp.first - from) / entry;
  const int64_t used = old ? 0 : bmp.number(46, 4);
  for (int64_t k = 0; k < std::min({used ? used : room, room, int64_t{1} << bmp.bits}); ++k) {
    const uint32_t colour = bmp.number(size_t(from + entry * k), 3);
    bmp.palette.push_back({uint8_t(colour >> 16), uint8_t(colour >> 8), uint8_t(colour)});
  }
  bmp.grey = std::all_of(bmp.palette.begin(), bmp.palette.end(),
                         [](const auto& colour) { return colour[0] == colour[1] && colour[1] == colour[2]; });
}

Bmp read_head(const std::string& name, std::string_view bytes) {
  Bmp bmp{.name = name, .bytes = bytes};
  const uint32_t header = bmp.number(kFileHeader, 4);
  bmp.ensure(header == kOldHeader || (header >= kHeader && header <= 124), "no such header");
  const uint32_t coding = header == kOldHeader ? uint32_t{kPlain} : bmp.number(30, 4);
  require(coding == kPlain || coding == kMasks || coding == kMasksAndAlpha, Exit::data,
          "{}: a compressed BMP (kind {}), which is not read: save it uncompressed or as PNG", name, coding);
  read_size(bmp, header);
  read_masks(bmp, header, coding);
  if (bmp.indexed()) read_palette(bmp, header);
  return bmp;
}

void require_whole(Bmp& bmp) {
  require_plausible(bmp.name, bmp.height, bmp.width, int64_t(bmp.bytes.size()), 8);
  bmp.stride = (bmp.width * bmp.bits + 31) / 32 * 4;
  // The last row may lack what only fills it up.
  const int64_t end = bmp.first + bmp.stride * (bmp.height - 1) + (bmp.width * bmp.bits + 7) / 8;
  bmp.ensure(bmp.first >= kFileHeader && end <= int64_t(bmp.bytes.size()), "it ends too early");
}

// `to` takes channels() values of pixel x of a row, or its index.
void read_index(const Bmp& bmp, const uint8_t* row, int64_t x, Palette palette, uint8_t* to) {
  const int64_t bit = x * bmp.bits;
  const auto index = uint8_t(row[bit / 8] >> (8 - bmp.bits - bit % 8) & ((1 << bmp.bits) - 1));
  if (palette == Palette::indices) {
    *to = index;
    return;
  }
  bmp.ensure(index < bmp.palette.size(), "a pixel's colour is not in the palette");
  std::copy_n(bmp.palette[index].begin(), bmp.channels(), to);
}

void read_colours(const Bmp& bmp, const uint8_t* row, int64_t x, uint8_t* to) {
  uint32_t pixel = 0;
  for (int64_t k = bmp.bits / 8; k-- > 0;) pixel = pixel << 8 | row[x * bmp.bits / 8 + k];
  for (int64_t c = 0; c < bmp.channels(); ++c) to[c] = bmp.masks[size_t(c)].value(pixel);
}

}  // namespace

PictureInfo bmp_info(const std::string& name, std::string_view bytes) {
  const Bmp bmp = read_head(name, bytes);
  return {.channels = bmp.channels(), .height = bmp.height, .width = bmp.width};
}

Decoded decode_bmp(const std::string& name, std::string_view bytes, Palette palette) {
  Bmp bmp = read_head(name, bytes);
  require_whole(bmp);
  const int64_t channels = bmp.indexed() && palette == Palette::indices ? 1 : bmp.channels();
  std::vector<uint8_t> pixels(size_t(bmp.height * bmp.width * channels));
  uint8_t* to = pixels.data();
  for (int64_t y = 0; y < bmp.height; ++y) {
    const int64_t line = bmp.downwards ? y : bmp.height - 1 - y;
    const auto* row = reinterpret_cast<const uint8_t*>(bytes.data()) + bmp.first + bmp.stride * line;
    for (int64_t x = 0; x < bmp.width; ++x, to += channels)
      bmp.indexed() ? read_index(bmp, row, x, palette, to) : read_colours(bmp, row, x, to);
  }
  return {.pixels = to_planes(pixels.data(), channels, bmp.height, bmp.width)};
}

}  // namespace saddle
