#include "data/view/tile.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/view/kind.h"
#include "dist/error.h"

namespace saddle {
namespace {

constexpr int64_t kHighest = 128, kGap = 2, kLeastWidth = 512;
constexpr int64_t kFrames = 8, kPlanes = 8;  // at most shown of a video, of a picture of many channels

using Colour = std::array<uint8_t, 3>;

// Neighbouring classes get hues far apart; 0, most often the background, is black.
Colour colour_of(int64_t value) {
  if (value == 0) return {0, 0, 0};
  constexpr double kGolden = 0.6180339887498949;
  const double hue = std::fmod(double(uint64_t(value) % 100'000) * kGolden, 1.0) * 6;
  const double level = value % 3 == 0 ? 0.7 : 1;
  const auto part = [&](double from) {
    const double off = std::fabs(std::fmod(hue + from, 6.0) - 3) - 1;
    return uint8_t(std::lround(255 * level * (0.15 + 0.85 * std::clamp(off, 0.0, 1.0))));
  };
  return {part(0), part(4), part(2)};
}

torch::Tensor white(int64_t height, int64_t width) {
  return torch::full({3, height, width}, 255, torch::kByte);
}

// [H, W] of integers -> false colours.
torch::Tensor colour_map(const torch::Tensor& map) {
  const torch::Tensor values = map.to(torch::kLong).contiguous();
  torch::Tensor out = torch::empty({3, map.size(0), map.size(1)}, torch::kByte);
  for (int64_t i = 0, area = values.numel(); i < area; ++i) {
    const Colour colour = colour_of(values.data_ptr<int64_t>()[i]);
    for (size_t c = 0; c < 3; ++c) out.data_ptr<uint8_t>()[int64_t(c) * area + i] = colour[c];
  }
  return out;
}

torch::Tensor checkerboard(int64_t height, int64_t width) {
  const torch::Tensor y = torch::arange(height, torch::kLong).div(4, "floor").view({height, 1});
  const torch::Tensor x = torch::arange(width, torch::kLong).div(4, "floor").view({1, width});
  return (x + y).remainder(2).to(torch::kFloat) * 60 + 180;
}

torch::Tensor planes_beside(const torch::Tensor& pixels) {
  std::vector<torch::Tensor> planes;
  for (int64_t c = 0; c < std::min(pixels.size(0), kPlanes); ++c)
    planes.push_back(pixels[c].to(torch::kByte).expand({3, -1, -1}));
  return beside(planes);
}

// [C, H, W] of any dtype: grey, RGB, RGBA over a checkerboard; of 2 or 5 and more channels each by itself.
torch::Tensor colour_picture(const torch::Tensor& picture, const TileRange& range) {
  const double width = range.high > range.low ? range.high - range.low : 1;
  const torch::Tensor pixels =
      ((picture.to(torch::kFloat).nan_to_num(0, 0, 0) - range.low) * (255 / width)).clamp(0, 255).round();
  if (pixels.size(0) == 3) return pixels.to(torch::kByte);
  if (pixels.size(0) == 1) return pixels.to(torch::kByte).expand({3, -1, -1});
  if (pixels.size(0) != 4) return planes_beside(pixels);
  const torch::Tensor alpha = pixels[3] / 255;
  const torch::Tensor board = checkerboard(pixels.size(1), pixels.size(2));
  return (pixels.narrow(0, 0, 3) * alpha + board * (1 - alpha)).round().to(torch::kByte);
}

torch::Tensor reduce(const torch::Tensor& picture, bool by_nearest) {
  const int64_t height = picture.size(1), width = picture.size(2);
  if (height <= kHighest) return picture;
  const int64_t narrow = std::max<int64_t>(1, width * kHighest / height);
  if (by_nearest) {  // numbers of classes have no mean
    const auto pick = [](int64_t from, int64_t to) {
      return torch::arange(to, torch::kLong).mul(from).div(to, "floor");
    };
    return picture.index_select(1, pick(height, kHighest)).index_select(2, pick(width, narrow));
  }
  return at::_upsample_bilinear2d_aa(picture.to(torch::kFloat).unsqueeze(0), {kHighest, narrow}, false)[0]
      .round()
      .clamp(0, 255)
      .to(torch::kByte);
}

torch::Tensor flat(const torch::Tensor& picture, bool is_map, const TileRange& range) {  // [C, H, W]
  return reduce(is_map ? colour_map(picture[0]) : colour_picture(picture, range), is_map);
}

// [C, D, H, W]: the middle slice of each axis. Depth runs from below to above, as volumes are packed.
torch::Tensor slices(const torch::Tensor& volume, bool is_map, const TileRange& range) {
  std::vector<torch::Tensor> tiles;
  for (int64_t axis = 1; axis <= 3; ++axis) {
    const torch::Tensor slice = flat(volume.select(axis, volume.size(axis) / 2), is_map, range);
    tiles.push_back(axis == 1 ? slice : slice.flip({1}));  // as bytes: LibTorch does not flip uint16
  }
  return beside(tiles);
}

// [T, C, H, W]: frames evenly spread over those that there are.
torch::Tensor frames(const torch::Tensor& video, int64_t length, const TileRange& range) {
  std::vector<torch::Tensor> tiles;
  const int64_t shown = std::min(length, kFrames);
  for (int64_t i = 0; i < shown; ++i) tiles.push_back(flat(video[i * length / shown], false, range));
  return beside(tiles);
}

int64_t most(const std::vector<torch::Tensor>& pictures, int64_t extent) {
  int64_t out = 1;
  for (const auto& picture : pictures) out = std::max(out, picture.size(extent));
  return out;
}

void put(torch::Tensor& sheet, const torch::Tensor& picture, int64_t y, int64_t x) {
  sheet.narrow(1, y, picture.size(1)).narrow(2, x, picture.size(2)).copy_(picture);
}

// The square that all but the farthest points lie in, so that one of them does not hide the others.
struct Square {
  double left, bottom, width;

  explicit Square(const torch::Tensor& points) {  // double [N, 2]
    std::array<double, 2> low{}, high{};
    for (int64_t axis = 0; axis < 2; ++axis) {
      const torch::Tensor sorted = std::get<0>(points.select(1, axis).contiguous().sort());
      const int64_t cut = sorted.numel() / 500;
      low[size_t(axis)] = sorted[cut].item<double>();
      high[size_t(axis)] = sorted[sorted.numel() - 1 - cut].item<double>();
    }
    width = std::max({1e-9, high[0] - low[0], high[1] - low[1]}) * 1.15;
    left = (low[0] + high[0] - width) / 2;
    bottom = (low[1] + high[1] - width) / 2;
  }
};

void dot(torch::Tensor& picture, int64_t x, int64_t y, const Colour& colour) {
  const int64_t side = picture.size(1);
  for (int64_t row = std::max<int64_t>(0, y - 1); row <= std::min(side - 1, y + 1); ++row)
    for (int64_t column = std::max<int64_t>(0, x - 1); column <= std::min(side - 1, x + 1); ++column)
      for (int64_t c = 0; c < 3; ++c)
        picture.data_ptr<uint8_t>()[(c * side + row) * side + column] = colour[size_t(c)];
}

}  // namespace

torch::Tensor tile(const Field& field, const torch::Tensor& value, int64_t length, const TileRange& range) {
  if (field.variable && length == 0) return white(std::min(kHighest, field.shape[1]), kHighest);
  switch (kind_of(field)) {
    case Kind::picture:
      return flat(field.variable ? value.narrow(0, 0, length) : value, false, range);
    case Kind::label_map:
      return flat(value, true, range);
    case Kind::volume:
      return slices(value, false, range);
    case Kind::map_volume:
      return slices(value, true, range);
    case Kind::video:
      return frames(value, length, range);
    default:
      fail(Exit::bug, "field {} cannot be drawn in a tile", field.name);
  }
}

torch::Tensor beside(const std::vector<torch::Tensor>& tiles) {
  int64_t width = int64_t(tiles.size()) - 1, x = 0;
  for (const auto& each : tiles) width += each.size(2);
  torch::Tensor out = white(most(tiles, 1), width);
  for (const auto& each : tiles) {
    put(out, each, 0, x);
    x += each.size(2) + 1;
  }
  return out;
}

torch::Tensor stack_rows(const std::vector<torch::Tensor>& rows) {
  int64_t height = 0, y = 0;
  for (const auto& each : rows) height += each.size(1);
  torch::Tensor out = white(height, most(rows, 2));
  for (const auto& each : rows) {
    put(out, each, y, 0);
    y += each.size(1);
  }
  return out;
}

torch::Tensor lay_out(const std::vector<torch::Tensor>& cells, int64_t columns) {
  const int64_t count = int64_t(cells.size()), rows = (count + columns - 1) / columns;
  const int64_t factor = std::max<int64_t>(1, kLeastWidth / (columns * most(cells, 2)));
  const int64_t height = most(cells, 1) * factor, width = most(cells, 2) * factor;
  torch::Tensor out = white(rows * (height + kGap) + kGap, columns * (width + kGap) + kGap);
  for (int64_t i = 0; i < count; ++i)
    put(out, cells[size_t(i)].repeat_interleave(factor, 1).repeat_interleave(factor, 2),
        kGap + i / columns * (height + kGap), kGap + i % columns * (width + kGap));
  return out;
}

torch::Tensor scatter_by_class(const torch::Tensor& points, const torch::Tensor& labels) {
  constexpr int64_t kSide = 512;
  const torch::Tensor at = points.narrow(1, 0, 2).to(torch::kDouble).nan_to_num(0, 0, 0).contiguous();
  const torch::Tensor classes = labels.defined() ? labels.to(torch::kLong).contiguous() : torch::Tensor();
  const Square square(at);
  torch::Tensor out = white(kSide, kSide);
  for (int64_t i = 0; i < at.size(0); ++i) {
    const double x = (at.data_ptr<double>()[2 * i] - square.left) / square.width;
    const double y = (at.data_ptr<double>()[2 * i + 1] - square.bottom) / square.width;
    if (x < 0 || x > 1 || y < 0 || y > 1) continue;
    const Colour colour =
        classes.defined() ? colour_of(classes.data_ptr<int64_t>()[i] + 1) : Colour{31, 98, 180};
    dot(out, int64_t(x * (kSide - 1)), int64_t((1 - y) * (kSide - 1)), colour);
  }
  return out;
}

torch::Tensor bars(const torch::Tensor& counts) {
  constexpr int64_t kHeight = 160, kWidth = 8;
  const int64_t count = counts.numel(), highest = std::max<int64_t>(1, counts.max().item<int64_t>());
  torch::Tensor out = white(kHeight + 2 * kGap, count * kWidth + 2 * kGap);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t here = counts[i].item<int64_t>();
    const int64_t height = here > 0 ? std::max<int64_t>(1, here * kHeight / highest) : 0;
    torch::Tensor bar =
        out.narrow(1, kGap + kHeight - height, height).narrow(2, kGap + i * kWidth, kWidth - 1);
    bar[0].fill_(31), bar[1].fill_(98), bar[2].fill_(180);
  }
  return out;
}

}  // namespace saddle
