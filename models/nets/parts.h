// What convolutional nets have in common: how often they halve an image, and what follows a convolution.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "models/blocks/batch_norm.h"
#include "models/blocks/layers.h"
#include "models/nets/nets.h"

namespace saddle {

// How often H and W are halved, and what is left.
struct Ladder {
  int64_t depth, height, width;
};
// `depth` times, or with 0 down to 4 to 7 pixels. Exit::data if they cannot be halved that often.
Ladder ladder(const Field& image, int64_t depth);

Norm norm_of(const std::string& name);

// Of a layer that `norm` follows, in a net of norm `net`: DCGAN's initial weights under batch norm, PyTorch's
// else; no bias where a norm takes it away.
LayerOptions layer_with(Norm norm, Norm net);

// What a class adds to a score, [B, 1]: <its embedding, features> / sqrt(features), both [B, features]
// (Miyato and Koyama 2018, equation 6; the root makes it as large as the score at the start).
torch::Tensor projection(const torch::Tensor& by_class, const torch::Tensor& features);

// The norm after a convolution, or nothing.
class Normalised final : public Module {
 public:
  Normalised(Maker& make, int64_t channels, Norm norm);
  torch::Tensor forward(const torch::Tensor& x) const;

 private:
  std::shared_ptr<BatchNorm> batch_;
  std::shared_ptr<InstanceNorm> instance_;
};

}  // namespace saddle
