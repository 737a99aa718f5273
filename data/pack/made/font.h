// A font file by FreeType: outlines drawn at any size, or the colour bitmaps of an emoji font.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/view/resize.h"

namespace saddle {

// How outlines are brought onto a canvas: every glyph at the same scale, on the same baseline.
struct Layout {
  double em = 0;        // pixels
  double baseline = 0;  // pixels above the lower edge
};

// What a glyph or several cover, in ems around the origin on the baseline.
struct Extent {
  double left = 0, bottom = 0, right = 0, top = 0;
  void include(const Extent& other);
};

// Thread-safe, by a lock: a face of FreeType is one pen. Exit::data names the file.
class Font {
 public:
  explicit Font(const std::string& path);
  ~Font();
  Font(const Font&) = delete;
  Font& operator=(const Font&) = delete;

  const std::string& path() const;
  std::optional<uint32_t> glyph(char32_t character) const;

  bool bitmaps() const;                         // the glyphs are pictures of the font's largest size
  std::vector<uint32_t> bitmap_glyphs() const;  // those that have a picture
  ImageSize bitmap_size(const std::vector<uint32_t>& glyphs) const;  // holds each of them
  torch::Tensor bitmap(uint32_t glyph, ImageSize canvas) const;      // uint8 [4, H, W], centred

  Extent extent(uint32_t glyph) const;
  // Opacity, uint8 [1, H, W], antialiased; the glyph is centred horizontally.
  torch::Tensor outline(uint32_t glyph, ImageSize canvas, const Layout& layout) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace saddle
