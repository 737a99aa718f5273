// PNG by libpng.
#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <csetjmp>
#include <cstring>
#include <vector>

#include "data/view/codecs.h"
#include "data/view/exif.h"
#include "data/view/planes.h"
#include "dist/error.h"

namespace saddle {
namespace {

// Deflate's best is 1032 : 1, and a pixel is a bit or more.
constexpr int64_t kPixelsPerByte = 8 * 1032;

// What reading and writing have in common. Everything with a destructor lives here, nothing in the steps,
// which libpng may leave by longjmp.
struct Png {
  static void on_failure(png_structp png, png_const_charp message) {
    auto& self = *static_cast<Png*>(png_get_error_ptr(png));
    std::strncpy(self.message, message, sizeof self.message - 1);
    std::longjmp(self.on_error, 1);
  }

  // Runs one step; false if it ended in an error.
  template <class Self>
  static bool run(Self& self, void (*step)(Self&)) {
    if (setjmp(self.on_error)) return false;
    step(self);
    return true;
  }

  // Remarks are about what is beside the pixels, but for one: without its checksum libpng leaves opacities
  // out.
  static void on_remark(png_structp png, png_const_charp message) {
    if (std::strcmp(message, "tRNS: CRC error") == 0) on_failure(png, message);
  }

  png_structp png = nullptr;
  png_infop info = nullptr;
  std::jmp_buf on_error{};
  char message[128] = "";
  std::vector<uint8_t> pixels;  // [H, W, channels]
  std::vector<png_bytep> rows;
};

struct Reader : Png {
  Reader(const std::string& name, std::string_view bytes, Palette palette)
      : name(name), bytes(bytes), palette(palette) {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, static_cast<Png*>(this), on_failure, on_remark);
    info = png ? png_create_info_struct(png) : nullptr;
    require(info != nullptr, Exit::bug, "libpng does not start");
    png_set_read_fn(png, this, [](png_structp png, png_bytep to, size_t count) {
      auto& self = *static_cast<Reader*>(png_get_io_ptr(png));
      if (count > self.bytes.size()) png_error(png, "it ends too early");
      std::memcpy(to, self.bytes.data(), count);
      self.bytes.remove_prefix(count);
    });
    // Texts, profiles and the like concern nobody here: they cannot do harm, nor be found damaged.
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_set_benign_errors(png, 1);
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;

  void run(void (*step)(Reader&)) {
    require(Png::run(*this, step), Exit::data, "{}: damaged PNG: {}", name, message);
  }

  const std::string& name;
  std::string_view bytes;  // what is left
  Palette palette;
};

void read_head(Reader& reader) {
  png_read_info(reader.png, reader.info);
}

bool is_indexed(const Reader& reader) {
  return png_get_color_type(reader.png, reader.info) == PNG_COLOR_TYPE_PALETTE;
}

// Whole bytes a channel in the machine's order; colours as they are seen.
void start(Reader& reader) {
  const bool indices = is_indexed(reader) && reader.palette == Palette::indices;
  png_set_packing(reader.png);
  if (png_get_color_type(reader.png, reader.info) == PNG_COLOR_TYPE_GRAY)
    png_set_expand_gray_1_2_4_to_8(reader.png);
  if (is_indexed(reader) && !indices) png_set_palette_to_rgb(reader.png);
  if (png_get_valid(reader.png, reader.info, PNG_INFO_tRNS) && !indices) png_set_tRNS_to_alpha(reader.png);
  if constexpr (std::endian::native == std::endian::little) png_set_swap(reader.png);
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
}

void read_rows(Reader& reader) {
  png_read_image(reader.png, reader.rows.data());
  png_read_end(reader.png, nullptr);
}

void make_rows(Png& png, size_t stride, size_t height) {
  png.pixels.resize(stride * height);
  png.rows.resize(height);
  for (size_t y = 0; y < height; ++y) png.rows[y] = png.pixels.data() + y * stride;
}

struct Writer : Png {
  Writer() {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, static_cast<Png*>(this), on_failure, on_remark);
    info = png ? png_create_info_struct(png) : nullptr;
    require(info != nullptr, Exit::bug, "libpng does not start");
    const auto write = [](png_structp png, png_bytep from, size_t count) {
      static_cast<Writer*>(png_get_io_ptr(png))->out.append(reinterpret_cast<const char*>(from), count);
    };
    png_set_write_fn(png, this, write, [](png_structp) {});
  }
  ~Writer() { png_destroy_write_struct(&png, &info); }
  Writer(const Writer&) = delete;

  std::string out;
  png_uint_32 height = 0, width = 0;
  int channels = 0, bits = 8, level = 6;
};

void write(Writer& writer) {
  constexpr int kKinds[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                            PNG_COLOR_TYPE_RGB_ALPHA};
  png_set_compression_level(writer.png, writer.level);
  png_set_IHDR(writer.png, writer.info, writer.width, writer.height, writer.bits, kKinds[writer.channels - 1],
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(writer.png, writer.info);
  if constexpr (std::endian::native == std::endian::little) png_set_swap(writer.png);
  png_write_image(writer.png, writer.rows.data());
  png_write_end(writer.png, nullptr);
}

template <class T>
void take_pixels(Writer& writer, const torch::Tensor& picture) {
  const int64_t channels = picture.size(0), height = picture.size(1), width = picture.size(2);
  make_rows(writer, size_t(width * channels) * sizeof(T), size_t(height));
  from_planes(picture.const_data_ptr<T>(), channels, height * width,
              reinterpret_cast<T*>(writer.pixels.data()));
}

uint32_t number_at(std::string_view bytes, size_t at) {
  return png_get_uint_32(reinterpret_cast<png_const_bytep>(bytes.data() + at));
}

// Calls visit(name, data, checksum as stored) for every whole chunk until it returns false.
template <class Visit>
void visit_chunks(std::string_view png, Visit visit) {
  constexpr size_t kFrame = 12;  // length, name; checksum
  png.remove_prefix(8);
  while (png.size() >= kFrame) {
    const size_t length = number_at(png, 0);
    if (length > png.size() - kFrame) return;
    if (!visit(png.substr(4, 4 + length), number_at(png, 8 + length))) return;
    png.remove_prefix(kFrame + length);
  }
}

// Of the chunk eXIf, which may also follow the pixels; one with a wrong checksum says nothing.
int orientation_of(std::string_view png) {
  int out = 1;
  visit_chunks(png, [&](std::string_view chunk, uint32_t checksum) {
    if (!chunk.starts_with("eXIf") ||
        crc32_z(0, reinterpret_cast<const Bytef*>(chunk.data()), chunk.size()) != checksum)
      return true;
    out = exif_orientation(chunk.substr(4));
    return false;
  });
  return out;
}

// The chunk acTL before the pixels says how many frames there are.
void refuse_animation(const std::string& name, std::string_view png) {
  uint32_t frames = 1;
  visit_chunks(png, [&](std::string_view chunk, uint32_t) {
    if (chunk.starts_with("acTL") && chunk.size() >= 8) frames = number_at(chunk, 4);
    return !chunk.starts_with("IDAT");
  });
  require(frames < 2, Exit::data,
          "{}: an animated PNG of {} frames, expected a still picture: save its frames as pictures", name,
          frames);
}

}  // namespace

PictureInfo png_info(const std::string& name, std::string_view bytes) {
  Reader reader(name, bytes, Palette::colours);
  reader.run(read_head);
  refuse_animation(name, bytes);
  const bool transparent = png_get_valid(reader.png, reader.info, PNG_INFO_tRNS);
  return {.channels = (is_indexed(reader) ? 3 : png_get_channels(reader.png, reader.info)) + transparent,
          .height = png_get_image_height(reader.png, reader.info),
          .width = png_get_image_width(reader.png, reader.info),
          .bits = png_get_bit_depth(reader.png, reader.info) == 16 ? 16 : 8,
          .orientation = orientation_of(bytes)};
}

Decoded decode_png(const std::string& name, std::string_view bytes, Palette palette) {
  Reader reader(name, bytes, palette);
  reader.run(read_head);
  refuse_animation(name, bytes);
  const int64_t height = png_get_image_height(reader.png, reader.info),
                width = png_get_image_width(reader.png, reader.info);
  require_plausible(name, height, width, int64_t(bytes.size()), kPixelsPerByte);
  reader.run(start);
  make_rows(reader, png_get_rowbytes(reader.png, reader.info), size_t(height));
  reader.run(read_rows);
  const int64_t channels = png_get_channels(reader.png, reader.info);
  const bool wide = png_get_bit_depth(reader.png, reader.info) == 16;
  const uint8_t* pixels = reader.pixels.data();
  return {.pixels = wide ? to_planes(reinterpret_cast<const uint16_t*>(pixels), channels, height, width)
                         : to_planes(pixels, channels, height, width),
          .orientation = orientation_of(bytes)};
}

std::string encode_png(const torch::Tensor& picture, int level) {
  const bool wide = picture.scalar_type() == torch::kUInt16;
  require(picture.dim() == 3 && (wide || picture.scalar_type() == torch::kByte) && picture.numel() > 0 &&
              picture.size(0) <= 4,
          Exit::bug, "encode_png: expected uint8 or uint16 [1 to 4, H, W], found {} [{}]",
          torch::toString(picture.scalar_type()), fmt::join(picture.sizes(), ", "));
  Writer writer;
  writer.height = png_uint_32(picture.size(1)), writer.width = png_uint_32(picture.size(2));
  writer.channels = int(picture.size(0)), writer.bits = wide ? 16 : 8, writer.level = level;
  const torch::Tensor planes = picture.cpu().contiguous();
  wide ? take_pixels<uint16_t>(writer, planes) : take_pixels<uint8_t>(writer, planes);
  require(Png::run(writer, write), Exit::bug, "libpng: {}", writer.message);
  return std::move(writer.out);
}

}  // namespace saddle
