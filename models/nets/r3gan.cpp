#include "models/nets/r3gan.h"

#include <ATen/ops/one_hot.h>

#include <cmath>
#include <numeric>

#include "dist/error.h"
#include "models/blocks/layers.h"

namespace saddle {
namespace {

using torch::Tensor;

// N(0, gain / sqrt(fan in)), no bias.
LayerOptions scaled(int64_t fan_in, double gain = 1) {
  return {.bias = false, .stddev = gain / std::sqrt(static_cast<double>(fan_in))};
}

std::shared_ptr<Conv2d> one_by_one(Maker& make, int64_t in, int64_t out, double gain = 1) {
  return std::make_shared<Conv2d>(make, in, out, Kernel{.size = 1, .stride = 1, .padding = 0},
                                  scaled(in, gain));
}

Tensor rectified(const Tensor& x, const Tensor& bias) {
  return torch::leaky_relu(x + bias.view({1, -1, 1, 1}), 0.2);
}

// x + a 1x1, a grouped 3x3 and a 1x1 convolution of it; the last starts at zero.
class ResidualBlock final : public Module {
 public:
  ResidualBlock(Maker& make, int64_t width, int64_t inner, int64_t groups, double gain) {
    expand_ = child("expand", one_by_one(make, width, inner, gain));
    bias0_ = parameter("bias0", torch::zeros({inner}, torch::kFloat));
    mix_ =
        child("mix", std::make_shared<Conv2d>(make, inner, inner,
                                              Kernel{.size = 3, .stride = 1, .padding = 1, .groups = groups},
                                              scaled(inner / groups * 9, gain)));
    bias1_ = parameter("bias1", torch::zeros({inner}, torch::kFloat));
    project_ = child("project", one_by_one(make, inner, width, 0));
  }
  Tensor forward(const Tensor& x) const {
    const Tensor inner = rectified(expand_->forward(x), bias0_);
    return x + project_->forward(rectified(mix_->forward(inner), bias1_));
  }

 private:
  std::shared_ptr<Conv2d> expand_, mix_, project_;
  Tensor bias0_, bias1_;
};

// [1, 3, 3, 1] in both directions, of sum 1, for each of so many channels.
Tensor binomial(int64_t channels, const Tensor& like) {
  // By operations alone: a tensor made of numbers is no operation that TorchScript records.
  const Tensor taps = (4 - 2 * (torch::arange(4, torch::dtype(torch::kDouble)) - 1.5).abs()) / 8;
  return taps.outer(taps).to(like.device(), like.scalar_type()).expand({channels, 1, 4, 4}).contiguous();
}

Tensor doubled(const Tensor& x) {
  return torch::conv_transpose2d(x, 4 * binomial(x.size(1), x), {}, /*stride=*/2, /*padding=*/1,
                                 /*output_padding=*/0,
                                 /*groups=*/x.size(1));
}

Tensor halved(const Tensor& x) {
  return torch::conv2d(x, binomial(x.size(1), x), {}, /*stride=*/2, /*padding=*/1, /*dilation=*/1,
                       /*groups=*/x.size(1));
}

Tensor rows_of(const Tensor& y, int64_t classes, const Tensor& like) {
  return (y.dim() == 1 ? at::one_hot(y, classes) : y).to(like.options());
}

// The blocks of a stage, and the change of width on the way to it (G) or from it (D).
struct Stage {
  std::vector<std::shared_ptr<ResidualBlock>> blocks;
  std::shared_ptr<Conv2d> change;
  Tensor run(Tensor x) const {
    for (const auto& block : blocks) x = block->forward(x);
    return x;
  }
};

// Of every block: sqrt(2 / (1 + 0.2^2)) by the leaky ReLU, L^(-1/4) by the depth of L blocks.
double gain_of(const R3ganShape& shape) {
  const int64_t all = std::accumulate(shape.blocks.begin(), shape.blocks.end(), int64_t{0});
  return std::sqrt(2 / 1.04) * std::pow(static_cast<double>(all), -0.25);
}

class R3ganNetwork : public Network {
 protected:
  std::vector<std::shared_ptr<ResidualBlock>> make_blocks(Maker& make, const R3ganShape& shape,
                                                          size_t stage) {
    std::vector<std::shared_ptr<ResidualBlock>> blocks;
    const int64_t width = shape.width[stage];
    for (int64_t i = 0; i < shape.blocks[stage]; ++i)
      blocks.push_back(child(fmt::format("stage{}_block{}", stage, i),
                             std::make_shared<ResidualBlock>(make, width, width * shape.expansion,
                                                             shape.groups[stage], gain_of(shape))));
    return blocks;
  }
  // Nothing between equal widths.
  std::shared_ptr<Conv2d> make_change(Maker& make, size_t stage, int64_t in, int64_t out) {
    return in == out ? nullptr : child(fmt::format("stage{}_change", stage), one_by_one(make, in, out));
  }
};

class R3ganGenerator final : public R3ganNetwork {
 public:
  R3ganGenerator(Maker& make, const R3ganShape& shape) : classes_(shape.classes) {
    int64_t in = shape.latent;
    if (classes_ > 0) {
      embed_ = child("embed", std::make_shared<Linear>(make, classes_, shape.g_embedding, scaled(classes_)));
      in += shape.g_embedding;
    }
    basis_ = parameter("basis", make.normal({shape.width[0], 4, 4}, 0, 1));
    scale_ = child("scale", std::make_shared<Linear>(make, in, shape.width[0], scaled(in)));
    for (size_t i = 0; i < shape.width.size(); ++i) {
      const auto change = i == 0 ? nullptr : make_change(make, i, shape.width[i - 1], shape.width[i]);
      stages_.push_back({make_blocks(make, shape, i), change});
    }
    colour_ = child("colour", one_by_one(make, shape.width.back(), shape.channels));
  }

  Output forward(const Input& in) override {
    const Tensor z = embed_ ? torch::cat({in.x, embed_->forward(rows_of(in.y, classes_, in.x))}, 1) : in.x;
    Tensor x = basis_.unsqueeze(0) * scale_->forward(z).unsqueeze(-1).unsqueeze(-1);
    for (size_t i = 0; i < stages_.size(); ++i) {
      if (i > 0) x = doubled(stages_[i].change ? stages_[i].change->forward(x) : x);
      x = stages_[i].run(x);
    }
    return {colour_->forward(x)};
  }

 private:
  int64_t classes_;
  std::shared_ptr<Linear> embed_, scale_;
  Tensor basis_;
  std::vector<Stage> stages_;  // from 4x4 up
  std::shared_ptr<Conv2d> colour_;
};

class R3ganDiscriminator final : public R3ganNetwork {
 public:
  R3ganDiscriminator(Maker& make, const R3ganShape& shape) : classes_(shape.classes) {
    colour_ = child("colour", one_by_one(make, shape.channels, shape.width.back()));
    stages_.resize(shape.width.size());
    for (size_t i = shape.width.size(); i-- > 0;) {
      stages_[i].blocks = make_blocks(make, shape, i);
      if (i > 0) stages_[i].change = make_change(make, i, shape.width[i], shape.width[i - 1]);
    }
    const int64_t width = shape.width[0], out = classes_ == 0           ? 1
                                                : shape.d_embedding > 0 ? shape.d_embedding
                                                                        : width;
    basis_ = child("basis", std::make_shared<Conv2d>(
                                make, width, width,
                                Kernel{.size = 4, .stride = 1, .padding = 0, .groups = width}, scaled(16)));
    score_ = child("score", std::make_shared<Linear>(make, width, out, scaled(width)));
    if (classes_ > 0)
      embed_ =
          child("embed", std::make_shared<Linear>(make, classes_, out,
                                                  scaled(classes_, 1 / std::sqrt(static_cast<double>(out)))));
  }

  Output forward(const Input& in) override {
    Tensor x = colour_->forward(in.x);
    for (size_t i = stages_.size(); i-- > 0;) {
      x = stages_[i].run(x);
      if (i == 0) break;
      x = halved(x);
      if (stages_[i].change) x = stages_[i].change->forward(x);
    }
    x = score_->forward(basis_->forward(x).flatten(1));
    if (embed_) x = (x * embed_->forward(rows_of(in.y, classes_, in.x))).sum(1, /*keepdim=*/true);
    return {x};
  }

 private:
  int64_t classes_;
  std::shared_ptr<Conv2d> colour_, basis_;
  std::vector<Stage> stages_;  // from 4x4 up
  std::shared_ptr<Linear> score_, embed_;
};

}  // namespace

R3ganShape r3gan_shape(const Field& image, int64_t width, int64_t full, int64_t blocks, int64_t group) {
  require(image.shape.size() == 3, Exit::data, "R3GAN's nets draw images [C, H, W], field '{}' is {}",
          image.name, c10::str(image.shape));
  R3ganShape shape{.width = {}, .groups = {}, .blocks = {}, .channels = image.shape[0]};
  int64_t size = 4;
  for (int64_t stage = 0; size <= image.shape[1]; ++stage, size *= 2) {
    const int64_t here = std::max<int64_t>(1, width >> std::max<int64_t>(0, stage - full + 1));
    shape.width.push_back(here);
    shape.groups.push_back(std::max<int64_t>(1, here * shape.expansion / group));
    shape.blocks.push_back(blocks);
    require(
        here * shape.expansion % shape.groups.back() == 0, Exit::usage,
        "a width of {} at {}x{} pixels does not divide into groups of {} channels: choose a multiple of {}",
        here, size, size, group, std::max<int64_t>(1, group / shape.expansion));
  }
  require(image.shape[1] == image.shape[2] && size == 2 * image.shape[1], Exit::data,
          "R3GAN's nets draw images of 4x4, 8x8, 16x16, ... pixels, field '{}' has {}x{}: pack them with "
          "--size 32",
          image.name, image.shape[1], image.shape[2]);
  return shape;
}

std::shared_ptr<Network> r3gan_generator(Maker& make, const R3ganShape& shape) {
  return std::make_shared<R3ganGenerator>(make, shape);
}

std::shared_ptr<Network> r3gan_discriminator(Maker& make, const R3ganShape& shape) {
  return std::make_shared<R3ganDiscriminator>(make, shape);
}

}  // namespace saddle
