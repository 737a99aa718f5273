#include "data/pack/made/font.h"

#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_OUTLINE_H

#include <algorithm>
#include <cmath>
#include <fstream>
#include <mutex>

#include "dist/error.h"

namespace saddle {
namespace {

constexpr FT_Int32 kUnhinted = FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP;  // the designer's shape
constexpr int64_t kLargestBitmap = 4096;                                // pixels a side; emoji have 128

std::string reason(FT_Error error) {
  const char* text = FT_Error_String(error);
  return text ? text : fmt::format("FreeType's error {}", error);
}

FT_Int largest_strike(FT_Face face) {
  const FT_Bitmap_Size* sizes = face->available_sizes;
  return FT_Int(std::max_element(sizes, sizes + face->num_fixed_sizes,
                                 [](const auto& a, const auto& b) { return a.y_ppem < b.y_ppem; }) -
                sizes);
}

// Web fonts are packed, and FreeType makes room for whatever they claim to become.
void require_unpacked(const std::string& path) {
  char magic[4] = "";
  std::ifstream(path, std::ios::binary).read(magic, sizeof magic);
  const std::string_view kind(magic, sizeof magic);
  require(
      kind != "wOFF" && kind != "wOF2", Exit::data,
      "{}: expected a TrueType or OpenType font, found a packed one of the web; unpack it, as fonttools do",
      path);
}

// Premultiplied BGRA, as FreeType hands bitmaps out, into planes of red, green, blue and opacity.
void unpack_bgra(const FT_Bitmap& from, torch::Tensor& to, int64_t top, int64_t left) {
  const int64_t width = to.size(2), area = to.size(1) * width;
  for (int64_t y = 0; y < from.rows; ++y)
    for (int64_t x = 0; x < from.width; ++x) {
      const uint8_t* p = from.buffer + y * from.pitch + 4 * x;
      uint8_t* q = to.data_ptr<uint8_t>() + (top + y) * width + left + x;
      const int alpha = p[3];
      for (int64_t c = 0; alpha != 0 && c < 3; ++c)
        q[c * area] = uint8_t(std::min(255, (p[2 - c] * 255 + alpha / 2) / alpha));
      q[3 * area] = uint8_t(alpha);
    }
}

}  // namespace

void Extent::include(const Extent& other) {
  left = std::min(left, other.left), bottom = std::min(bottom, other.bottom);
  right = std::max(right, other.right), top = std::max(top, other.top);
}

struct Font::Impl {
  std::string path;
  FT_Library library = nullptr;  // one each: a library may be used by one thread at a time only
  FT_Face face = nullptr;
  mutable std::mutex lock;

  ~Impl() { FT_Done_FreeType(library); }  // and its face

  void check(FT_Error error, const char* what) const {
    require(error == 0, Exit::data, "{}: cannot {}: {}", path, what, error ? reason(error) : "");
  }

  void load(uint32_t glyph, FT_Int32 flags, FT_Glyph_Format format) const {
    const FT_Error error = FT_Load_Glyph(face, glyph, flags);
    require(error == 0, Exit::data, "{}: glyph {} is damaged: {}", path, glyph, error ? reason(error) : "");
    require(face->glyph->format == format, Exit::data, "{}: glyph {} is {}", path, glyph,
            format == FT_GLYPH_FORMAT_OUTLINE ? "no outline" : "no bitmap");
  }

  FT_Outline& scaled_outline(uint32_t glyph, double em) const {
    check(FT_Set_Char_Size(face, 0, FT_F26Dot6(std::lround(em * 64)), 72, 72), "be scaled");
    load(glyph, kUnhinted, FT_GLYPH_FORMAT_OUTLINE);
    return face->glyph->outline;
  }
};

Font::Font(const std::string& path) : impl_(std::make_unique<Impl>()) {
  impl_->path = path;
  require_unpacked(path);
  impl_->check(FT_Init_FreeType(&impl_->library), "start FreeType");
  impl_->check(FT_New_Face(impl_->library, path.c_str(), 0, &impl_->face), "be read as a font");
  if (bitmaps()) impl_->check(FT_Select_Size(impl_->face, largest_strike(impl_->face)), "select its bitmaps");
  require(bitmaps() || (FT_IS_SCALABLE(impl_->face) && impl_->face->units_per_EM > 0), Exit::data,
          "{}: has neither outlines nor colour bitmaps", path);
}

Font::~Font() = default;

const std::string& Font::path() const {
  return impl_->path;
}

std::optional<uint32_t> Font::glyph(char32_t character) const {
  const std::lock_guard hold(impl_->lock);
  const FT_UInt index = FT_Get_Char_Index(impl_->face, character);
  return index ? std::optional<uint32_t>(index) : std::nullopt;
}

bool Font::bitmaps() const {
  return FT_HAS_COLOR(impl_->face) && impl_->face->num_fixed_sizes > 0;
}

std::vector<uint32_t> Font::bitmap_glyphs() const {
  const std::lock_guard hold(impl_->lock);
  std::vector<uint32_t> out;
  for (FT_Long glyph = 0; glyph < impl_->face->num_glyphs; ++glyph) {
    if (FT_Load_Glyph(impl_->face, FT_UInt(glyph), FT_LOAD_COLOR | FT_LOAD_BITMAP_METRICS_ONLY)) continue;
    const FT_GlyphSlot slot = impl_->face->glyph;
    if (slot->format == FT_GLYPH_FORMAT_BITMAP && slot->bitmap.rows > 0 && slot->bitmap.width > 0)
      out.push_back(uint32_t(glyph));
  }
  return out;
}

ImageSize Font::bitmap_size(const std::vector<uint32_t>& glyphs) const {
  const std::lock_guard hold(impl_->lock);
  ImageSize size;
  for (const uint32_t glyph : glyphs) {
    impl_->load(glyph, FT_LOAD_COLOR | FT_LOAD_BITMAP_METRICS_ONLY, FT_GLYPH_FORMAT_BITMAP);
    const FT_Bitmap& bitmap = impl_->face->glyph->bitmap;
    size.height = std::max<int64_t>(size.height, bitmap.rows);
    size.width = std::max<int64_t>(size.width, bitmap.width);
  }
  require(size.height > 0 && size.width > 0 && std::max(size.height, size.width) <= kLargestBitmap,
          Exit::data, "{}: its bitmaps are {}x{}", impl_->path, size.height, size.width);
  return size;
}

torch::Tensor Font::bitmap(uint32_t glyph, ImageSize canvas) const {
  torch::Tensor out = torch::zeros({4, canvas.height, canvas.width}, torch::kByte);
  const std::lock_guard hold(impl_->lock);
  impl_->load(glyph, FT_LOAD_COLOR, FT_GLYPH_FORMAT_BITMAP);
  const FT_Bitmap& bitmap = impl_->face->glyph->bitmap;
  require(bitmap.pixel_mode == FT_PIXEL_MODE_BGRA && bitmap.buffer && bitmap.rows <= canvas.height &&
              bitmap.width <= canvas.width,
          Exit::data, "{}: glyph {} is damaged or not in colour", impl_->path, glyph);
  unpack_bgra(bitmap, out, (canvas.height - bitmap.rows) / 2, (canvas.width - bitmap.width) / 2);
  return out;
}

Extent Font::extent(uint32_t glyph) const {
  const std::lock_guard hold(impl_->lock);
  impl_->load(glyph, kUnhinted | FT_LOAD_NO_SCALE, FT_GLYPH_FORMAT_OUTLINE);
  FT_BBox box;
  FT_Outline_Get_CBox(&impl_->face->glyph->outline, &box);
  const double em = impl_->face->units_per_EM;
  return {.left = double(box.xMin) / em,
          .bottom = double(box.yMin) / em,
          .right = double(box.xMax) / em,
          .top = double(box.yMax) / em};
}

torch::Tensor Font::outline(uint32_t glyph, ImageSize canvas, const Layout& layout) const {
  torch::Tensor out = torch::zeros({1, canvas.height, canvas.width}, torch::kByte);
  const std::lock_guard hold(impl_->lock);
  FT_Outline& outline = impl_->scaled_outline(glyph, layout.em);
  FT_BBox box;
  FT_Outline_Get_CBox(&outline, &box);
  FT_Outline_Translate(&outline, canvas.width * 32 - (box.xMin + box.xMax) / 2,
                       std::lround(layout.baseline * 64));
  FT_Bitmap bitmap{};
  bitmap.rows = unsigned(canvas.height);
  bitmap.width = unsigned(canvas.width);
  bitmap.pitch = int(canvas.width);
  bitmap.buffer = out.data_ptr<uint8_t>();
  bitmap.num_grays = 256;
  bitmap.pixel_mode = FT_PIXEL_MODE_GRAY;
  impl_->check(FT_Outline_Get_Bitmap(impl_->library, &outline, &bitmap), "draw a glyph");
  return out;
}

}  // namespace saddle
