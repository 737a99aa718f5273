#include "models/blocks/layers.h"

#include <ATen/ops/instance_norm.h>

#include <cmath>

namespace saddle {
namespace {

torch::Tensor draw(Maker& make, at::IntArrayRef shape, int64_t fan_in, const LayerOptions& options) {
  if (options.stddev) return make.normal(shape, 0, *options.stddev);
  return make.uniform(shape, 1 / std::sqrt(static_cast<double>(fan_in)));
}

torch::Tensor draw_bias(Maker& make, int64_t out, int64_t fan_in, const LayerOptions& options) {
  if (options.stddev) return torch::zeros({out}, torch::kFloat);
  return make.uniform({out}, 1 / std::sqrt(static_cast<double>(fan_in)));
}

}  // namespace

void Weighted::make_weights(Maker& make, at::IntArrayRef shape, int64_t outputs, int64_t fan_in,
                            const LayerOptions& options, int64_t dim) {
  weight = parameter("weight", draw(make, shape, fan_in, options));
  if (options.spectral)
    spectral_ = child("spectral", std::make_shared<SpectralNorm>(make, weight.size(dim), dim));
  if (options.bias) bias = parameter("bias", draw_bias(make, outputs, fan_in, options));
}

Linear::Linear(Maker& make, int64_t in, int64_t out, LayerOptions options) {
  make_weights(make, {out, in}, out, in, options);
}

Conv2d::Conv2d(Maker& make, int64_t in, int64_t out, Kernel kernel, LayerOptions options) : kernel_(kernel) {
  const int64_t seen = in / kernel.groups, fan_in = seen * kernel.size * kernel.size;
  make_weights(make, {out, seen, kernel.size, kernel.size}, out, fan_in, options);
}

torch::Tensor Conv2d::forward(const torch::Tensor& x) const {
  return torch::conv2d(x, used(), bias, kernel_.stride, kernel_.padding, /*dilation=*/1, kernel_.groups);
}

torch::Tensor Conv2d::forward(const torch::Tensor& x, const torch::Tensor& by_class,
                              const torch::Tensor& y) const {
  const int64_t height = x.size(2), width = x.size(3);
  const auto maps = [&](const torch::Tensor& rows) {
    return rows.unsqueeze(-1).unsqueeze(-1).expand({-1, -1, height, width});
  };
  constexpr int64_t kMost = 64;  // classes: whatever the batch, so that a traced net does what this one does
  if (by_class.size(0) > kMost) return forward(torch::cat({x, maps(by_class.index_select(0, y))}, 1));
  const torch::Tensor w = used();
  const int64_t channels = x.size(1);
  const torch::Tensor of_classes = torch::conv2d(maps(by_class), w.narrow(1, channels, by_class.size(1)), {},
                                                 kernel_.stride, kernel_.padding);
  return torch::conv2d(x, w.narrow(1, 0, channels), bias, kernel_.stride, kernel_.padding) +
         of_classes.index_select(0, y);
}

ConvTranspose2d::ConvTranspose2d(Maker& make, int64_t in, int64_t out, Kernel kernel, LayerOptions options)
    : kernel_(kernel) {
  const int64_t fan_in = out * kernel.size * kernel.size;  // PyTorch counts the second dimension
  make_weights(make, {in, out, kernel.size, kernel.size}, out, fan_in, options, /*dim=*/1);
}

torch::Tensor ConvTranspose2d::forward(const torch::Tensor& x) const {
  return torch::conv_transpose2d(x, used(), bias, kernel_.stride, kernel_.padding, kernel_.output_padding);
}

Embedding::Embedding(Maker& make, int64_t classes, int64_t features) {
  weight = parameter("weight", make.normal({classes, features}, 0, 1));
}

InstanceNorm::InstanceNorm(Maker&, int64_t channels) {
  weight = parameter("weight", torch::ones({channels}, torch::kFloat));
  bias = parameter("bias", torch::zeros({channels}, torch::kFloat));
}

torch::Tensor InstanceNorm::forward(const torch::Tensor& x) const {
  return torch::instance_norm(x, weight, bias, {}, {}, /*use_input_stats=*/true, 0, 1e-5, false);
}

}  // namespace saddle
