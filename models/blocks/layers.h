// The plain layers. Weights start as PyTorch's (Kaiming-uniform, bound 1/sqrt(fan in)) unless `stddev` is
// given: then N(0, stddev) and no other bias than 0, as DCGAN does (Radford 2016, section 4).
#pragma once

#include <optional>

#include "models/blocks/spectral_norm.h"

namespace saddle {

struct LayerOptions {
  bool bias = true;
  std::optional<double> stddev = {};
  bool spectral = false;  // the weight is used divided by its largest singular value (spectral_norm.h)
};

// A layer with a weight and, unless its options say otherwise, a bias.
class Weighted : public Module {
 public:
  torch::Tensor weight, bias;

 protected:
  // A weight of this shape and a bias of `outputs` numbers; `dim` is the weight's dimension of outputs.
  void make_weights(Maker& make, at::IntArrayRef shape, int64_t outputs, int64_t fan_in,
                    const LayerOptions& options, int64_t dim = 0);
  // What the layer works with.
  torch::Tensor used() const { return spectral_ ? spectral_->forward(weight) : weight; }

 private:
  std::shared_ptr<SpectralNorm> spectral_;
};

class Linear final : public Weighted {
 public:
  Linear(Maker& make, int64_t in, int64_t out, LayerOptions options = {});
  torch::Tensor forward(const torch::Tensor& x) const {
    return torch::linear(x, used(), bias);
  }  // [B, in] -> [B, out]
};

// A square kernel; [B, in, H, W] -> [B, out, H', W']. Each of `groups` equal groups of outputs sees its own
// inputs.
struct Kernel {
  int64_t size = 4, stride = 2, padding = 1, groups = 1;
  int64_t output_padding = 0;  // of a transposed one: rows and columns more
};

class Conv2d final : public Weighted {
 public:
  Conv2d(Maker& make, int64_t in, int64_t out, Kernel kernel, LayerOptions options = {});
  torch::Tensor forward(const torch::Tensor& x) const;
  // Of x [B, C, H, W] and constant maps of its classes, [K, in - C] by class, of classes y [B]: what
  // `forward` makes of both side by side. The maps of up to 64 classes are convolved once a class, not once
  // a sample.
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& by_class, const torch::Tensor& y) const;

 private:
  Kernel kernel_;
};

class ConvTranspose2d final : public Weighted {
 public:
  ConvTranspose2d(Maker& make, int64_t in, int64_t out, Kernel kernel, LayerOptions options = {});
  torch::Tensor forward(const torch::Tensor& x) const;

 private:
  Kernel kernel_;
};

class Embedding final : public Module {  // N(0, 1)
 public:
  Embedding(Maker& make, int64_t classes, int64_t features);
  torch::Tensor forward(const torch::Tensor& labels) const { return torch::embedding(weight, labels); }
  torch::Tensor weight;
};

// Each sample and channel normalised over its own pixels (Ulyanov 2016), with a learned scale and shift. A
// batch of one sample is as good as any: the norm for nets whose gradient is penalised per sample.
class InstanceNorm final : public Module {
 public:
  InstanceNorm(Maker& make, int64_t channels);
  torch::Tensor forward(const torch::Tensor& x) const;
  torch::Tensor weight, bias;
};

}  // namespace saddle
