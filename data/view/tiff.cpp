// TIFF by libtiff: one page of grey, RGB or palette colours, 1 to 16 bits, with or without opacity, in strips
// or tiles, whatever the compression.
#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "data/view/codecs.h"
#include "data/view/planes.h"
#include "dist/error.h"

namespace saddle {
namespace {

// The most that a byte becomes. Of fax, and what is not named, a byte can be a picture.
int64_t best_ratio(uint16_t compression) {
  switch (compression) {
    case COMPRESSION_NONE:
      return 1;
    case COMPRESSION_PACKBITS:
      return 64;
    case COMPRESSION_LZW:
      return 1400;
    case COMPRESSION_DEFLATE:
    case COMPRESSION_ADOBE_DEFLATE:
      return 1032;
    default:
      return 1 << 20;
  }
}

// The file in memory and what libtiff said of it. Remarks on tags are no damage; while pixels are decoded
// they are, since libtiff goes on with white or black.
struct Tiff {
  Tiff(const std::string& name, std::string_view bytes) : name(name), bytes(bytes) {
    const std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(TIFFOpenOptionsAlloc(),
                                                                               TIFFOpenOptionsFree);
    constexpr tmsize_t kLargestTag = tmsize_t{1} << 28;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), kLargestTag);
    TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, this);
    TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, this);
    tiff =
        TIFFClientOpenExt(name.c_str(), "r", this, read, write, seek, close, size, map, unmap, options.get());
    ensure(tiff != nullptr);
  }
  ~Tiff() {
    if (tiff) TIFFClose(tiff);
  }
  Tiff(const Tiff&) = delete;

  void ensure(bool fine) const {
    require(fine, Exit::data, "{}: damaged TIFF: {}", name,
            message.empty() ? "its tags fit no picture" : message);
  }
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail(Exit::data, "{}: a TIFF {}", name, fmt::format(format, std::forward<Args>(args)...));
  }

  const std::string& name;
  std::string_view bytes;
  TIFF* tiff = nullptr;
  std::string message;
  bool decoding = false;
  uint64_t at = 0;

 private:
  static Tiff& of(void* self) { return *static_cast<Tiff*>(self); }

  static int on_error(TIFF*, void* self, const char*, const char* format, va_list values) {
    char text[256] = "";
    std::vsnprintf(text, sizeof text, format, values);
    if (of(self).message.empty()) of(self).message = text;
    return 1;  // nobody else need hear of it
  }
  static int on_warning(TIFF* tiff, void* self, const char* module, const char* format, va_list values) {
    const bool harmless = !of(self).decoding || std::strstr(format, "Old-style LZW");
    return harmless ? 1 : on_error(tiff, self, module, format, values);
  }

  static tmsize_t read(thandle_t self, void* to, tmsize_t count) {
    Tiff& file = of(self);
    const std::string_view rest = file.bytes.substr(std::min<size_t>(file.at, file.bytes.size()));
    const size_t got = std::min(rest.size(), size_t(count));
    std::memcpy(to, rest.data(), got);
    file.at += got;
    return tmsize_t(got);
  }
  static tmsize_t write(thandle_t, void*, tmsize_t) { return 0; }
  static toff_t seek(thandle_t self, toff_t to, int from) {
    Tiff& file = of(self);
    return file.at = to + (from == SEEK_CUR ? file.at : from == SEEK_END ? file.bytes.size() : 0);
  }
  static int close(thandle_t) { return 0; }
  static toff_t size(thandle_t self) { return of(self).bytes.size(); }
  static int map(thandle_t self, void** base, toff_t* size) {
    *base = const_cast<char*>(of(self).bytes.data());  // of a file opened for reading
    *size = of(self).bytes.size();
    return 1;
  }
  static void unmap(thandle_t, void*, toff_t) {}
};

struct Layout {
  uint32_t width = 0, height = 0;
  uint16_t bits = 1, samples = 1, kind = 0, planar = PLANARCONFIG_CONTIG, compression = COMPRESSION_NONE,
           orientation = 1;
  bool associated = false;          // colours are multiplied by their opacity
  const uint16_t* palette[3] = {};  // of libtiff

  bool indexed() const { return kind == PHOTOMETRIC_PALETTE; }
  int64_t channels() const { return indexed() ? 3 : samples; }
  int64_t planes() const { return planar == PLANARCONFIG_SEPARATE ? samples : 1; }
};

// Thumbnails, masks and the smaller steps of a pyramid are no pages.
bool is_page(TIFF* tiff) {
  uint32_t kind = 0;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SUBFILETYPE, &kind);
  return !(kind & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK));
}

void find_page(Tiff& file) {
  int64_t pages = 0;
  tdir_t first = 0;
  constexpr tdir_t kMost = 1000;
  do {
    if (is_page(file.tiff) && pages++ == 0) first = TIFFCurrentDirectory(file.tiff);
  } while (TIFFCurrentDirectory(file.tiff) < kMost && TIFFReadDirectory(file.tiff));
  if (pages > 1) file.refuse("of {} pages, expected one picture: split it, as tiffsplit does", pages);
  file.ensure(TIFFSetDirectory(file.tiff, first));
  file.message.clear();  // of what follows the page
}

uint16_t number(const Tiff& file, uint32_t tag) {
  uint16_t out = 0;
  file.ensure(TIFFGetFieldDefaulted(file.tiff, tag, &out));
  return out;
}

// As libtiff's own tools take it where it is not stated.
uint16_t kind_of(const Tiff& file, const Layout& layout) {
  uint16_t out = 0;
  if (TIFFGetField(file.tiff, TIFFTAG_PHOTOMETRIC, &out)) return out;
  return layout.samples >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK;
}

const char* name_of_kind(uint16_t kind) {
  switch (kind) {
    case PHOTOMETRIC_MASK:
      return " (a mask)";
    case PHOTOMETRIC_SEPARATED:
      return " (inks, as CMYK)";
    case PHOTOMETRIC_YCBCR:
      return " (YCbCr)";
    case PHOTOMETRIC_CIELAB:
      return " (CIE L*a*b*)";
    case PHOTOMETRIC_ICCLAB:
      return " (ICC L*a*b*)";
    case PHOTOMETRIC_ITULAB:
      return " (ITU L*a*b*)";
    case PHOTOMETRIC_CFA:
      return " (raw of a camera)";
    case PHOTOMETRIC_LOGL:
    case PHOTOMETRIC_LOGLUV:
      return " (logarithms of light)";
    default:
      return "";
  }
}

void check_kind(const Tiff& file, const Layout& layout) {
  constexpr uint16_t kFloat = SAMPLEFORMAT_IEEEFP;
  const uint16_t format = number(file, TIFFTAG_SAMPLEFORMAT);
  if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID)
    file.refuse("of {} bit {} numbers, expected 8 or 16 bits without sign: convert it, or pack it as .npy",
                layout.bits, format == kFloat ? "floating-point" : "signed or complex");
  const bool rgb = layout.kind == PHOTOMETRIC_RGB, grey = layout.kind <= PHOTOMETRIC_MINISBLACK;
  if (!rgb && !grey && !layout.indexed())
    file.refuse("whose colours are of kind {}{}, expected grey, RGB or a palette: convert it to RGB",
                layout.kind, name_of_kind(layout.kind));
  const bool few = layout.bits == 1 || layout.bits == 2 || layout.bits == 4;
  if (!(layout.bits == 8 || (few && !rgb) || (layout.bits == 16 && !layout.indexed())))
    file.refuse("of {} bits a sample, expected 8 or 16: convert it, or pack it as .npy", layout.bits);
}

void check_opacity(const Tiff& file, Layout& layout) {
  const int colours = layout.kind == PHOTOMETRIC_RGB ? 3 : 1;
  uint16_t count = 0, *kinds = nullptr;
  TIFFGetFieldDefaulted(file.tiff, TIFFTAG_EXTRASAMPLES, &count, &kinds);
  if (layout.samples == colours) return;
  if (layout.samples != colours + 1 || layout.indexed())
    file.refuse("of {} samples a pixel, expected {} or their opacity as one more: pack it as .npy",
                layout.samples, colours);
  if (count > 0 && kinds[0] == EXTRASAMPLE_UNSPECIFIED)
    file.refuse(
        "whose sample {} a pixel is of no stated meaning: drop it, or call it opacity with tiffset -s 338 1 "
        "2",
        layout.samples);
  layout.associated = count > 0 && kinds[0] == EXTRASAMPLE_ASSOCALPHA;
}

Layout read_layout(Tiff& file) {
  find_page(file);
  Layout out;
  file.ensure(TIFFGetField(file.tiff, TIFFTAG_IMAGEWIDTH, &out.width) &&
              TIFFGetField(file.tiff, TIFFTAG_IMAGELENGTH, &out.height));
  out.bits = number(file, TIFFTAG_BITSPERSAMPLE);
  out.samples = number(file, TIFFTAG_SAMPLESPERPIXEL);
  out.planar = number(file, TIFFTAG_PLANARCONFIG);
  out.compression = number(file, TIFFTAG_COMPRESSION);
  out.orientation = number(file, TIFFTAG_ORIENTATION);
  if (out.orientation < 1 || out.orientation > 8) out.orientation = 1;
  out.kind = kind_of(file, out);
  if (out.kind == PHOTOMETRIC_YCBCR && out.compression == COMPRESSION_JPEG &&
      TIFFSetField(file.tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB))
    out.kind = PHOTOMETRIC_RGB;  // libjpeg converts
  check_kind(file, out);
  check_opacity(file, out);
  uint16_t** palette[3];
  for (int c = 0; c < 3; ++c) palette[c] = const_cast<uint16_t**>(&out.palette[c]);
  file.ensure(!out.indexed() ||
              TIFFGetField(file.tiff, TIFFTAG_COLORMAP, palette[0], palette[1], palette[2]));
  return out;
}

// What libtiff reads at once.
struct Block {
  bool tiled = false;
  uint32_t width = 0, height = 0;
  tmsize_t bytes = 0, stride = 0;
};

Block block_of(const Tiff& file, const Layout& layout) {
  Block out{.tiled = TIFFIsTiled(file.tiff) != 0, .width = layout.width, .height = layout.height};
  if (out.tiled) {
    file.ensure(TIFFGetField(file.tiff, TIFFTAG_TILEWIDTH, &out.width) &&
                TIFFGetField(file.tiff, TIFFTAG_TILELENGTH, &out.height));
  } else {
    TIFFGetFieldDefaulted(file.tiff, TIFFTAG_ROWSPERSTRIP, &out.height);
    out.height = std::min(out.height, layout.height);
  }
  const int64_t pixels_a_byte =
      std::max<int64_t>(1, best_ratio(layout.compression) * 8 / (layout.bits * layout.samples));
  const auto bytes = int64_t(file.bytes.size());
  require_plausible(file.name, layout.height, layout.width, bytes, pixels_a_byte);
  require_plausible(file.name, out.height, out.width, bytes, pixels_a_byte);
  constexpr double kUsual = 4096 * 4096;  // of tiles at the edges of small pictures
  require(double(out.height) * out.width <= std::max(kUsual, 4 * double(layout.height) * layout.width),
          Exit::data, "{}: damaged TIFF: a tile of {}x{} pixels for a picture of {}x{}", file.name,
          out.height, out.width, layout.height, layout.width);
  out.bytes = out.tiled ? TIFFTileSize(file.tiff) : TIFFVStripSize(file.tiff, out.height);
  out.stride = out.tiled ? TIFFTileRowSize(file.tiff) : TIFFScanlineSize(file.tiff);
  const int64_t row = (int64_t{out.width} * layout.bits * (layout.samples / layout.planes()) + 7) / 8;
  file.ensure(out.stride >= row && out.bytes >= out.stride * tmsize_t(out.height));
  return out;
}

void read_block(Tiff& file, const Block& block, uint32_t x, uint32_t y, uint16_t plane, uint32_t rows,
                std::vector<uint8_t>& to) {
  const tmsize_t wanted = block.tiled ? block.bytes : block.stride * tmsize_t(rows);
  const tmsize_t got =
      block.tiled
          ? TIFFReadEncodedTile(file.tiff, TIFFComputeTile(file.tiff, x, y, 0, plane), to.data(), wanted)
          : TIFFReadEncodedStrip(file.tiff, TIFFComputeStrip(file.tiff, y, plane), to.data(), wanted);
  if (got != wanted && file.message.empty()) file.message = "it ends too early";
  file.ensure(file.message.empty());
}

// Sample `k` of a row, packed from the highest bit on.
template <class T>
T sample(const uint8_t* row, size_t k, int bits) {
  if constexpr (sizeof(T) == 2) {
    T out;
    std::memcpy(&out, row + 2 * k, 2);
    return out;
  } else {
    const size_t bit = k * size_t(bits);
    return T(row[bit / 8] >> (8 - bits - int(bit % 8)) & ((1 << bits) - 1));
  }
}

// [samples, H, W] as they are in the file.
template <class T>
torch::Tensor read_samples(Tiff& file, const Layout& layout) {
  const Block block = block_of(file, layout);
  const int64_t area = int64_t{layout.height} * layout.width, together = layout.samples / layout.planes();
  torch::Tensor out = torch::empty({layout.samples, layout.height, layout.width},
                                   sizeof(T) == 1 ? torch::kByte : torch::kUInt16);
  std::vector<uint8_t> buffer(size_t(block.bytes));
  file.decoding = true, file.message.clear();
  for (int64_t plane = 0; plane < layout.planes(); ++plane)
    for (uint64_t y = 0; y < layout.height; y += block.height)
      for (uint64_t x = 0; x < layout.width; x += block.width) {
        const uint64_t rows = std::min<uint64_t>(block.height, layout.height - y),
                       columns = std::min<uint64_t>(block.width, layout.width - x);
        read_block(file, block, uint32_t(x), uint32_t(y), uint16_t(plane), uint32_t(rows), buffer);
        for (uint64_t r = 0; r < rows; ++r)
          for (int64_t s = 0; s < together; ++s) {
            T* to = out.data_ptr<T>() + (plane + s) * area + int64_t((y + r) * layout.width + x);
            const uint8_t* row = buffer.data() + r * uint64_t(block.stride);
            for (uint64_t i = 0; i < columns; ++i)
              to[i] = sample<T>(row, size_t(i * uint64_t(together) + uint64_t(s)), layout.bits);
          }
      }
  return out;
}

// Old programs wrote 8 bits a colour where 16 are meant.
torch::Tensor look_up(const torch::Tensor& indices, const Layout& layout) {
  const int64_t count = int64_t{1} << layout.bits;
  bool wide = false;
  for (const uint16_t* colours : layout.palette)
    wide = wide || std::any_of(colours, colours + count, [](uint16_t v) { return v > 255; });
  torch::Tensor out = torch::empty({3, indices.size(1), indices.size(2)}, torch::kByte);
  const uint8_t* from = indices.const_data_ptr<uint8_t>();
  uint8_t* to = out.data_ptr<uint8_t>();
  for (const uint16_t* colours : layout.palette)
    for (int64_t i = 0; i < indices.numel(); ++i) *to++ = uint8_t(colours[from[i]] >> (wide ? 8 : 0));
  return out;
}

// Black 0, white the largest number, colours not multiplied by their opacity.
template <class T>
void make_plain(torch::Tensor& samples, const Layout& layout) {
  constexpr uint64_t kWhite = std::numeric_limits<T>::max();
  const auto most = (uint64_t{1} << layout.bits) - 1;
  const int64_t area = samples.size(1) * samples.size(2), colours = layout.kind == PHOTOMETRIC_RGB ? 3 : 1;
  T* values = samples.data_ptr<T>();
  for (int64_t i = 0; i < samples.numel() && most < kWhite; ++i) values[i] = T(values[i] * kWhite / most);
  for (int64_t i = 0; i < colours * area && layout.kind == PHOTOMETRIC_MINISWHITE; ++i)
    values[i] = T(kWhite - values[i]);
  for (int64_t i = 0; i < colours * area && layout.associated; ++i)
    if (const uint64_t opacity = values[colours * area + i % area]; opacity > 0)
      values[i] = T(std::min(kWhite, values[i] * kWhite / opacity));
}

torch::Tensor read_pixels(Tiff& file, const Layout& layout, Palette palette) {
  if (layout.bits == 16) {
    torch::Tensor out = read_samples<uint16_t>(file, layout);
    make_plain<uint16_t>(out, layout);
    return out;
  }
  torch::Tensor out = read_samples<uint8_t>(file, layout);
  if (layout.indexed()) return palette == Palette::indices ? out : look_up(out, layout);
  make_plain<uint8_t>(out, layout);
  return out;
}

}  // namespace

PictureInfo tiff_info(const std::string& name, std::string_view bytes) {
  Tiff file(name, bytes);
  const Layout layout = read_layout(file);
  return {.channels = layout.channels(),
          .height = layout.height,
          .width = layout.width,
          .bits = layout.bits == 16 ? 16 : 8,
          .orientation = layout.orientation};
}

Decoded decode_tiff(const std::string& name, std::string_view bytes, Palette palette) {
  Tiff file(name, bytes);
  const Layout layout = read_layout(file);
  return {.pixels = read_pixels(file, layout, palette), .orientation = layout.orientation};
}

}  // namespace saddle
