// The two pictures users look at: a grid of images and a scatter of points.
#include "data/view/picture.h"

#include <array>
#include <cmath>

#include "dist/error.h"

namespace saddle {
namespace {

constexpr int64_t kGap = 2, kLeastWidth = 512;
constexpr int kSmooth = 3;  // points are drawn this much larger and averaged down

// 1 or 3 channels, whatever the images have.
torch::Tensor visible(const torch::Tensor& images) {
  const int64_t channels = images.size(1);
  if (channels == 1 || channels == 3) return images;
  if (channels > 3) return images.narrow(1, 0, 3);
  return torch::cat({images, torch::full_like(images.narrow(1, 0, 1), -1)}, 1);
}

torch::Tensor to_bytes(const torch::Tensor& images) {  // a diverged net's NaN is shown grey
  return ((images.nan_to_num(0).clamp(-1, 1) + 1) * 127.5).round().to(torch::kByte);
}

torch::Tensor enlarge(const torch::Tensor& images, int64_t factor) {
  return images.repeat_interleave(factor, 2).repeat_interleave(factor, 3);
}

using Colour = std::array<uint8_t, 3>;

struct Canvas {
  torch::Tensor pixels;  // uint8 [3, side, side]
  int64_t side;

  void set(int64_t x, int64_t y, Colour colour) {
    uint8_t* at = pixels.data_ptr<uint8_t>() + y * side + x;
    for (int c = 0; c < 3; ++c) at[c * side * side] = colour[c];
  }

  void disc(double x, double y, double radius, Colour colour) {
    const auto least = [](double v) { return std::max<int64_t>(0, int64_t(std::ceil(v))); };
    const auto most = [&](double v) { return std::min(side - 1, int64_t(std::floor(v))); };
    for (int64_t row = least(y - radius); row <= most(y + radius); ++row) {
      const double half = std::sqrt(std::max(0.0, radius * radius - (double(row) - y) * (double(row) - y)));
      for (int64_t column = least(x - half); column <= most(x + half); ++column) set(column, row, colour);
    }
  }
};

// The square, a little larger than the real points, that is shown; fakes outside it are not.
struct Frame {
  double left, top, width;

  explicit Frame(const torch::Tensor& points) {
    const torch::Tensor low = std::get<0>(points.min(0)), high = std::get<0>(points.max(0));
    const torch::Tensor centre = (low + high) / 2;
    width = std::max(1e-6, (high - low).max().item<double>() * 1.3);
    left = centre[0].item<double>() - width / 2;
    top = centre[1].item<double>() + width / 2;
  }
};

void draw(Canvas& canvas, const Frame& frame, const torch::Tensor& points, double radius, Colour colour) {
  const auto at = points.accessor<double, 2>();
  const double scale = double(canvas.side) / frame.width;
  for (int64_t i = 0; i < points.size(0); ++i) {
    const double x = (at[i][0] - frame.left) * scale, y = (frame.top - at[i][1]) * scale;
    const double edge = double(canvas.side) + radius;
    if (x > -radius && x < edge && y > -radius && y < edge)  // false for NaN too
      canvas.disc(x, y, radius, colour);
  }
}

torch::Tensor planar(const torch::Tensor& points) {
  require(points.dim() == 2 && points.size(1) >= 2 && points.size(0) > 0, Exit::bug,
          "scatter: expected points [N, 2], found [{}]", fmt::join(points.sizes(), ", "));
  return points.narrow(1, 0, 2).to(torch::kCPU, torch::kDouble).contiguous();
}

}  // namespace

torch::Tensor grid(const torch::Tensor& images, int64_t columns) {
  require(images.dim() == 4 && images.size(0) > 0, Exit::bug,
          "grid: expected images [N, C, H, W], found [{}]", fmt::join(images.sizes(), ", "));
  torch::Tensor cells = to_bytes(visible(images.detach().to(torch::kCPU, torch::kFloat)));
  const int64_t count = cells.size(0), channels = cells.size(1);
  if (columns <= 0) columns = int64_t(std::ceil(std::sqrt(double(count))));
  const int64_t rows = (count + columns - 1) / columns;
  const int64_t inner = kLeastWidth - kGap - columns * kGap,
                factor = (inner - 1) / (columns * cells.size(3)) + 1;
  if (inner > 0 && factor > 1) cells = enlarge(cells, factor);
  const int64_t height = cells.size(2), width = cells.size(3);
  torch::Tensor out = torch::full({channels, rows * (height + kGap) + kGap, columns * (width + kGap) + kGap},
                                  255, torch::kByte);
  for (int64_t i = 0; i < count; ++i)
    out.narrow(1, kGap + i / columns * (height + kGap), height)
        .narrow(2, kGap + i % columns * (width + kGap), width)
        .copy_(cells[i]);
  return out;
}

torch::Tensor scatter(const torch::Tensor& real, const torch::Tensor& fake, int64_t side) {
  const torch::Tensor grey = planar(real), coloured = planar(fake);
  const Frame frame(grey);
  Canvas canvas{torch::full({3, side * kSmooth, side * kSmooth}, 255, torch::kByte), side * kSmooth};
  const double radius = double(side) * kSmooth / 256;
  draw(canvas, frame, grey, 2 * radius, {205, 205, 205});  // wider: seen also where fakes cover them
  draw(canvas, frame, coloured, 0.75 * radius, {31, 98, 180});
  return canvas.pixels.view({3, side, kSmooth, side, kSmooth})
      .to(torch::kFloat)
      .mean({2, 4})
      .round()
      .to(torch::kByte);
}

}  // namespace saddle
