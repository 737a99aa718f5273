// A TrueType font of rectangles, built by hand so that what is drawn is known.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace saddle::test {

inline std::string big_endian(const std::vector<std::pair<int, int64_t>>& numbers) {  // {bytes, value}
  std::string out;
  for (const auto& [bytes, value] : numbers)
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += char(value >> shift);
  return out;
}

struct Rectangle {
  int left, bottom, right, top;  // 1000 to the em
};

inline std::string glyph_of(const Rectangle& r) {
  std::string out =
      big_endian({{2, 1}, {2, r.left}, {2, r.bottom}, {2, r.right}, {2, r.top}, {2, 3}, {2, 0}});
  out += std::string(4, '\1');  // points on the curve, of 16-bit differences
  return out + big_endian({{2, r.left}, {2, 0}, {2, r.right - r.left}, {2, 0}}) +
         big_endian({{2, r.bottom}, {2, r.top - r.bottom}, {2, 0}, {2, r.bottom - r.top}});
}

// The characters from `first` on, a rectangle each.
inline std::string tiny_font(char first, const std::vector<Rectangle>& rectangles) {
  const auto count = int64_t(rectangles.size()) + 1;  // glyph 0 stands for what is missing
  std::string glyf, loca = big_endian({{4, 0}, {4, 0}}), metrics = big_endian({{2, 500}, {2, 0}});
  std::string cmap = big_endian({{2, 0},
                                 {2, 1},
                                 {2, 3},
                                 {2, 1},
                                 {4, 12},
                                 {2, 6},
                                 {2, 8 + 2 * count},
                                 {2, 0},
                                 {2, first},
                                 {2, count - 1}});
  for (int64_t i = 1; i < count; ++i) {
    glyf += glyph_of(rectangles[size_t(i - 1)]);
    loca += big_endian({{4, int64_t(glyf.size())}});
    metrics += big_endian({{2, 500}, {2, 0}});
    cmap += big_endian({{2, i}});
  }
  const std::string head =
      big_endian({{4, 0x10000}, {4, 0}, {4, 0}, {4, 0x5F0F3CF5}, {2, 0}, {2, 1000}}) + std::string(16, '\0') +
      big_endian({{2, -500}, {2, -500}, {2, 1000}, {2, 1000}, {2, 0}, {2, 8}, {2, 2}, {2, 1}, {2, 0}});
  const std::string hhea = big_endian({{4, 0x10000}, {2, 800}, {2, -200}, {2, 0}, {2, 500}}) +
                           std::string(22, '\0') + big_endian({{2, count}});
  const std::string maxp = big_endian({{4, 0x10000}, {2, count}, {2, 4}, {2, 1}}) + std::string(22, '\0');
  const std::array<std::pair<const char*, std::string>, 7> tables{{{"cmap", cmap},
                                                                   {"glyf", glyf},
                                                                   {"head", head},
                                                                   {"hhea", hhea},
                                                                   {"hmtx", metrics},
                                                                   {"loca", loca},
                                                                   {"maxp", maxp}}};
  std::string out = big_endian({{4, 0x10000}, {2, int64_t(tables.size())}, {2, 64}, {2, 2}, {2, 48}}), bodies;
  const size_t begin = out.size() + 16 * tables.size();
  for (const auto& [tag, body] : tables) {
    out += tag + big_endian({{4, 0}, {4, int64_t(begin + bodies.size())}, {4, int64_t(body.size())}});
    bodies += body + std::string((4 - body.size() % 4) % 4, '\0');
  }
  return out + bodies;
}

}  // namespace saddle::test
