#include "data/view/caption.h"

#include <stb/stb_easy_font.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace saddle {
namespace {

constexpr int64_t kGap = 2, kHeight = 12, kLargest = 2;  // pixels of a line, times the largest size

// What the font can write of UTF-8.
std::string printable(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xc0) == 0x80) continue;  // goes on with a letter
    out += byte >= ' ' && byte <= '~' ? c : '?';
  }
  return out;
}

int64_t width_of(std::string text) {
  return stb_easy_font_width(text.data());
}

// Blanks at the end need no room.
std::string cut(std::string text, int64_t width) {
  text.erase(text.find_last_not_of(' ') + 1);
  if (width_of(text) <= width) return text;
  while (!text.empty() && width_of(text + "..") > width) text.pop_back();
  return text + "..";
}

// uint8 [kHeight, width]: a line of text. The font is made of rectangles.
torch::Tensor line(std::string text, int64_t width) {
  torch::Tensor out = torch::full({kHeight, width}, 255, torch::kByte);
  constexpr size_t kCorner = 16, kRectangle = 4 * kCorner;  // bytes of the font's output
  std::vector<char> rectangles(text.size() * 16 * kRectangle);
  const int count =
      stb_easy_font_print(0, 1, text.data(), nullptr, rectangles.data(), static_cast<int>(rectangles.size()));
  const auto corner = [&](int rectangle, size_t number) {
    std::array<float, 2> at{};
    std::memcpy(at.data(), rectangles.data() + static_cast<size_t>(rectangle) * kRectangle + number * kCorner,
                sizeof at);
    return std::array{std::min(static_cast<int64_t>(at[0]), width),
                      std::min(static_cast<int64_t>(at[1]), kHeight)};
  };
  for (int i = 0; i < count; ++i) {
    const auto [left, top] = corner(i, 0);
    const auto [right, bottom] = corner(i, 2);
    out.narrow(0, top, bottom - top).narrow(1, left, right - left).fill_(0);
  }
  return out;
}

}  // namespace

torch::Tensor captions(const std::vector<std::string>& texts, int64_t width) {
  const int64_t share = width / static_cast<int64_t>(texts.size());
  std::vector<std::string> all;
  int64_t longest = 1;
  for (const std::string& text : texts) {
    all.push_back(printable(text));
    longest = std::max(longest, width_of(all.back()) + 2 * kGap);
  }
  const int64_t size = std::clamp<int64_t>(share / longest, 1, kLargest), room = share / size - 2 * kGap;
  torch::Tensor out = torch::full({kHeight * size, width}, 255, torch::kByte);
  for (size_t i = 0; i < all.size() && room > 0; ++i)
    out.narrow(1, static_cast<int64_t>(i) * width / static_cast<int64_t>(all.size()) + kGap, room * size)
        .copy_(line(cut(all[i], room), room).repeat_interleave(size, 0).repeat_interleave(size, 1));
  return out.expand({3, -1, -1});
}

}  // namespace saddle
