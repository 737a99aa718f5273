// Ten digits of a 5x7 font, turned, sheared, scaled, moved and dimmed at random: pictures of ten classes
// that need no download, and that a small classifier tells apart nearly without error. Sample i is a
// function of (seed, i).
#include <algorithm>
#include <array>
#include <cmath>

#include "data/pack/importers.h"
#include "dist/error.h"
#include "dist/random.h"

namespace saddle {
namespace {

constexpr int64_t kSamples = 100'000, kSide = 16;  // unless asked otherwise
constexpr int64_t kMostSamples = 100'000'000;
constexpr int64_t kCell = 9;  // the digit stands in the middle of so many squares
constexpr int64_t kColumns = 5, kRows = 7;

// Five bits a row.
constexpr std::array<std::array<uint8_t, kRows>, 10> kDigits{{
    {0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110},
    {0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110},
    {0b01110, 0b10001, 0b00001, 0b00010, 0b00100, 0b01000, 0b11111},
    {0b11111, 0b00010, 0b00100, 0b00010, 0b00001, 0b10001, 0b01110},
    {0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010},
    {0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110},
    {0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110},
    {0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000},
    {0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110},
    {0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100},
}};

bool is_ink(int64_t digit, int64_t row, int64_t column) {
  row -= (kCell - kRows) / 2;
  column -= (kCell - kColumns) / 2;
  return row >= 0 && row < kRows && column >= 0 && column < kColumns &&
         (kDigits[size_t(digit)][size_t(row)] >> (kColumns - 1 - column) & 1);
}

// Between the squares' centres, linearly; nothing beyond the cell.
double ink_at(int64_t digit, double row, double column) {
  const auto r = int64_t(std::floor(row)), c = int64_t(std::floor(column));
  const double down = row - double(r), right = column - double(c);
  const auto at = [&](int64_t i, int64_t k) { return is_ink(digit, r + i, c + k) ? 1.0 : 0.0; };
  return (1 - down) * ((1 - right) * at(0, 0) + right * at(0, 1)) +
         down * ((1 - right) * at(1, 0) + right * at(1, 1));
}

torch::Tensor draw(int64_t digit, const float* chance, int64_t side) {
  const auto between = [&](size_t i, double low, double high) {
    return low + (high - low) * double(chance[i]);
  };
  const double angle = between(0, -0.3, 0.3), scale = between(1, 0.8, 1.2), shear = between(2, -0.25, 0.25);
  const double over = between(3, -0.18, 0.18), down = between(4, -0.18, 0.18), light = between(5, 0.8, 1.2);
  torch::Tensor picture = torch::empty({1, 1, side, side}, torch::kByte);
  auto* to = picture.mutable_data_ptr<uint8_t>();
  // From a pixel in [-1, 1] to where it comes from.
  const auto place = [&](int64_t i) { return (2 * double(i) + 1) / double(side) - 1; };
  const auto square = [](double x) { return (x + 1) / 2 * double(kCell) - 0.5; };
  for (int64_t i = 0; i < side; ++i)
    for (int64_t k = 0; k < side; ++k) {
      const double y = place(i) - down, x = place(k) - over;
      const double from_x = (std::cos(angle) * x + (std::sin(angle) + shear) * y) / scale;
      const double from_y = (-std::sin(angle) * x + std::cos(angle) * y) / scale;
      const double value = light * ink_at(digit, square(from_y), square(from_x));
      to[i * side + k] = uint8_t(std::lround(255 * std::min(1.0, value)));
    }
  return picture;
}

Source open_glyph10(const PackRequest& request) {
  require(request.source == "glyph10", Exit::usage, "{}: expected glyph10, the name of a generated set",
          request.source);
  const ImageSize size = request.size.value_or(ImageSize{kSide, kSide});
  require(
      size.height == size.width && size.height >= kCell, Exit::usage,
      "glyph10 is drawn in squares of {0}x{0} pixels or more, not in {1}x{2}: pass --size 16 or --size 32",
      kCell, size.height, size.width);
  require(request.samples <= kMostSamples, Exit::usage, "--samples {}: glyph10 has {} at most",
          request.samples, kMostSamples);
  const Stream which(request.seed, "glyph10 digit"), how(request.seed, "glyph10 shape");
  const auto digit = [=](int64_t i) { return integers(which, {.first = i, .count = 1}, 10).item<int64_t>(); };
  Source source{.count = request.samples ? request.samples : kSamples, .sample = [=](int64_t i) {
                  const torch::Tensor chance = uniform(how, {.first = i, .count = 1}, {6}, torch::kFloat);
                  const int64_t label = digit(i);
                  return Batch{{"image", draw(label, chance.const_data_ptr<float>(), size.height)},
                               {"label", torch::full({1}, label, torch::kLong)}};
                }};
  source.label = digit;
  source.schema.fields = {image_field("image", 1, size), label_field(10, {})};
  source.provenance = {{"source", request.source}, {"seed", request.seed}};
  return source;
}

}  // namespace

const Importer kGlyph10{.name = "glyph10",
                        .takes = "glyph10: generated pictures of ten digits, 16x16 or --size",
                        .flags = "size",
                        .accepts = [](const PackRequest& request) -> Why {
                          if (request.source != "glyph10") return {};
                          return "the name of a generated set";
                        },
                        .open = open_glyph10};

}  // namespace saddle
