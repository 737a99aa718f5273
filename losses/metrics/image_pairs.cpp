#include "losses/metrics/image_pairs.h"

#include <ATen/ops/avg_pool2d.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "dist/error.h"
#include "dist/tensor.h"

namespace saddle {
namespace {

using torch::Tensor;

void require_pairs(const Tensor& x, const Tensor& y) {
  require(x.dim() == 4 && x.sizes() == y.sizes() && x.numel() > 0, Exit::usage,
          "pairs of pictures need two tensors [N, C, H, W] of equal shape: got [{}] and [{}]",
          fmt::join(x.sizes(), ", "), fmt::join(y.sizes(), ", "));
}

void require_range(double range) {
  require(range > 0, Exit::usage, "the range of a picture's values is {}: give a positive one", range);
}

// Of each pair a scalar of its float64 [C, H, W]: one pair at a time, so that memory is that of one.
Tensor per_pair(const Tensor& x, const Tensor& y,
                const std::function<Tensor(const Tensor& x, const Tensor& y)>& value) {
  require_pairs(x, y);
  const torch::NoGradGuard no_grad;
  std::vector<Tensor> all;
  for (int64_t i = 0; i < x.size(0); ++i)
    all.push_back(value(x[i].to(torch::kCPU, torch::kDouble), y[i].to(torch::kCPU, torch::kDouble)));
  return torch::stack(all);
}

// The weights of a window along one side, of sum 1.
Tensor taps(SsimWindow window) {
  if (window == SsimWindow::uniform) return torch::full({7}, 1.0 / 7, torch::kDouble);
  constexpr double kSigma = 1.5;
  constexpr int64_t kReach = 5;
  const Tensor weights =
      (torch::arange(-kReach, kReach + 1, torch::kDouble).square() / (-2 * kSigma * kSigma)).exp();
  return weights / weights.sum();
}

// What covariances are multiplied by.
double correction(SsimWindow window, int64_t side) {
  const double n = static_cast<double>(side * side);
  return window == SsimWindow::gaussian ? 1 : n / (n - 1);
}

// Weighted means of [..., H, W] over the windows that lie inside.
Tensor local_means(const Tensor& maps, const Tensor& taps) {
  const int64_t h = maps.size(-2), w = maps.size(-1), side = taps.size(0);
  const Tensor rows = torch::conv2d(maps.reshape({-1, 1, h, w}), taps.reshape({1, 1, side, 1}));
  const Tensor both = torch::conv2d(rows, taps.reshape({1, 1, 1, side}));
  std::vector<int64_t> shape = maps.sizes().vec();
  shape[shape.size() - 2] = h - side + 1;
  shape[shape.size() - 1] = w - side + 1;
  return both.reshape(shape);
}

// Means over the windows of each channel, [C].
struct Similarity {
  Tensor whole;
  Tensor contrast;  // without the term of luminance
};

Similarity similarity(const Tensor& x, const Tensor& y, double range, SsimWindow window) {
  const Tensor weights = taps(window);
  const int64_t side = weights.size(0);
  require(x.size(-2) >= side && x.size(-1) >= side, Exit::usage,
          "SSIM looks through windows of {} x {} pixels: the pictures have {} x {}", side, side, x.size(-2),
          x.size(-1));
  const Tensor means = local_means(torch::stack({x, y, x * x, y * y, x * y}), weights);
  const Tensor mx = means[0], my = means[1];
  const double c = correction(window, side);
  const Tensor vx = c * (means[2] - mx * mx), vy = c * (means[3] - my * my), vxy = c * (means[4] - mx * my);
  const double c1 = std::pow(0.01 * range, 2), c2 = std::pow(0.03 * range, 2);
  const Tensor contrast = (2 * vxy + c2) / (vx + vy + c2);
  const Tensor luminance = (2 * mx * my + c1) / (mx * mx + my * my + c1);
  return {(luminance * contrast).mean({1, 2}), contrast.mean({1, 2})};
}

// [C, H, W] at half the size.
Tensor halved(const Tensor& x) {
  return torch::avg_pool2d(x.unsqueeze(0), {2, 2}, {2, 2}, {x.size(-2) % 2, x.size(-1) % 2}).squeeze(0);
}

}  // namespace

Tensor l1(const Tensor& x, const Tensor& y) {
  return per_pair(x, y, [](const Tensor& a, const Tensor& b) { return (a - b).abs().mean(); });
}

Tensor psnr(const Tensor& x, const Tensor& y, double range) {
  require_range(range);
  return per_pair(x, y, [&](const Tensor& a, const Tensor& b) {
    return 10 * (range * range / (a - b).square().mean()).log10();
  });
}

Tensor ssim(const Tensor& x, const Tensor& y, double range, SsimWindow window) {
  require_range(range);
  return per_pair(
      x, y, [&](const Tensor& a, const Tensor& b) { return similarity(a, b, range, window).whole.mean(); });
}

Tensor ms_ssim(const Tensor& x, const Tensor& y, double range) {
  require_range(range);
  require_pairs(x, y);
  require(std::min(x.size(2), x.size(3)) > 160, Exit::usage,
          "five scales of SSIM need sides above 160 pixels: the pictures have {} x {}", x.size(2), x.size(3));
  return per_pair(x, y, [&](const Tensor& a, const Tensor& b) {
    constexpr double kWeights[] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
    Tensor p = a, q = b, product = torch::ones({a.size(0)}, torch::kDouble);
    for (const double weight : kWeights) {
      const bool coarsest = weight == kWeights[4];
      const Similarity at_scale = similarity(p, q, range, SsimWindow::gaussian);
      product = product * torch::relu(coarsest ? at_scale.whole : at_scale.contrast).pow(weight);
      if (!coarsest) p = halved(p), q = halved(q);
    }
    return product.mean();
  });
}

}  // namespace saddle
