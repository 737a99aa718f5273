#include "models/nets/parts.h"

#include <cmath>

#include "dist/error.h"

namespace saddle {
namespace {

constexpr double kStddev = 0.02;  // of initial weights (Radford 2016, section 4)

// The paper's small weights rely on batch norm: without it the signal dies in them, and D learns nothing.
std::optional<double> stddev_for(Norm norm) {
  return norm == Norm::batch ? std::optional(kStddev) : std::nullopt;
}

}  // namespace

LayerOptions layer_with(Norm norm, Norm net) {
  const bool shifts = norm == Norm::batch || norm == Norm::instance;  // so that a bias would do nothing
  return {.bias = !shifts, .stddev = stddev_for(net), .spectral = net == Norm::spectral};
}

Ladder ladder(const Field& image, int64_t depth) {
  require(image.shape.size() == 3, Exit::data,
          "a convolutional net needs an image [C, H, W], field '{}' is {}: use a system "
          "with multilayer perceptrons (gan-ns, wgan-gp)",
          image.name, c10::str(image.shape));
  int64_t height = image.shape[1], width = image.shape[2], halved = 0;
  const auto more = [&] { return depth > 0 ? halved < depth : std::min(height, width) >= 8; };
  for (; more(); ++halved, height /= 2, width /= 2)
    require(height % 2 == 0 && width % 2 == 0 && std::min(height, width) >= 4, Exit::data,
            "images of {}x{} cannot be halved {}: pack them with --size, for instance 32x32{}",
            image.shape[1], image.shape[2],
            (depth > 0 ? depth : halved + 1) == 1 ? "once"
                                                  : fmt::format("{} times", depth > 0 ? depth : halved + 1),
            halved > 0 ? fmt::format(", or set g.depth and d.depth to {}", halved) : "");
  require(halved > 0, Exit::data,
          "images of {}x{} are too small for a convolutional net: pack them with --size 16x16 or more",
          image.shape[1], image.shape[2]);
  return {halved, height, width};
}

Norm norm_of(const std::string& name) {
  return name == "batch"      ? Norm::batch
         : name == "instance" ? Norm::instance
         : name == "spectral" ? Norm::spectral
                              : Norm::none;
}

torch::Tensor projection(const torch::Tensor& by_class, const torch::Tensor& features) {
  return (by_class.to(features.scalar_type()) * features).sum(1, /*keepdim=*/true) /
         std::sqrt(static_cast<double>(features.size(1)));
}

Normalised::Normalised(Maker& make, int64_t channels, Norm norm) {
  if (norm == Norm::batch) batch_ = child("batch", std::make_shared<BatchNorm>(make, channels, kStddev));
  if (norm == Norm::instance) instance_ = child("instance", std::make_shared<InstanceNorm>(make, channels));
}

torch::Tensor Normalised::forward(const torch::Tensor& x) const {
  return batch_ ? batch_->forward(x) : instance_ ? instance_->forward(x) : x;
}

}  // namespace saddle
