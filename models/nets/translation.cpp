#include "models/nets/translation.h"

#include <ATen/ops/instance_norm.h>
#include <ATen/ops/reflection_pad2d.h>

#include <algorithm>

#include "models/blocks/batch_norm.h"
#include "models/blocks/layers.h"

namespace saddle {
namespace {

using torch::Tensor;

constexpr double kStddev = 0.02;  // of initial weights

// What follows a convolution.
class Follows final : public Module {
 public:
  Follows(Maker& make, int64_t channels, const std::string& norm) : instance_(norm == "instance") {
    if (norm == "batch") batch_ = child("batch", std::make_shared<BatchNorm>(make, channels, kStddev));
  }
  Tensor forward(const Tensor& x) const {
    if (instance_) return at::instance_norm(x, {}, {}, {}, {}, /*use_input_stats=*/true, 0.1, 1e-5, false);
    return batch_ ? batch_->forward(x) : x;
  }

 private:
  bool instance_;
  std::shared_ptr<BatchNorm> batch_;
};

// A convolution and its norm; a bias would do nothing before a batch norm.
template <class Convolution>
class Unit final : public Module {
 public:
  Unit(Maker& make, int64_t in, int64_t out, Kernel kernel, const std::string& norm) {
    convolution_ = child(
        "convolution", std::make_shared<Convolution>(
                           make, in, out, kernel, LayerOptions{.bias = norm != "batch", .stddev = kStddev}));
    norm_ = child("norm", std::make_shared<Follows>(make, out, norm));
  }
  Tensor forward(const Tensor& x) const { return norm_->forward(convolution_->forward(x)); }

 private:
  std::shared_ptr<Convolution> convolution_;
  std::shared_ptr<Follows> norm_;
};

using Convolved = Unit<Conv2d>;
using Transposed = Unit<ConvTranspose2d>;

Tensor reflected(const Tensor& x, int64_t by) {
  return at::reflection_pad2d(x, {by, by, by, by});
}

class ResidualBlock final : public Module {
 public:
  ResidualBlock(Maker& make, int64_t channels, const std::string& norm) {
    const Kernel kernel{.size = 3, .stride = 1, .padding = 0};
    first_ = child("0", std::make_shared<Convolved>(make, channels, channels, kernel, norm));
    second_ = child("1", std::make_shared<Convolved>(make, channels, channels, kernel, norm));
  }
  Tensor forward(const Tensor& x) const {
    return x + second_->forward(reflected(torch::relu(first_->forward(reflected(x, 1))), 1));
  }

 private:
  std::shared_ptr<Convolved> first_, second_;
};

class ResnetGenerator final : public Network {
 public:
  ResnetGenerator(Maker& make, const TranslationShape& shape, int64_t blocks, int64_t halvings) {
    const Kernel wide{.size = 7, .stride = 1, .padding = 0};
    int64_t channels = shape.width;
    first_ = child("first", std::make_shared<Convolved>(make, shape.in, channels, wide, shape.norm));
    for (int64_t i = 0; i < halvings; ++i, channels *= 2)
      down_.push_back(
          child(fmt::format("down{}", i),
                std::make_shared<Convolved>(make, channels, 2 * channels,
                                            Kernel{.size = 3, .stride = 2, .padding = 1}, shape.norm)));
    for (int64_t i = 0; i < blocks; ++i)
      blocks_.push_back(
          child(fmt::format("block{}", i), std::make_shared<ResidualBlock>(make, channels, shape.norm)));
    for (int64_t i = 0; i < halvings; ++i, channels /= 2)
      up_.push_back(child(
          fmt::format("up{}", i),
          std::make_shared<Transposed>(make, channels, channels / 2,
                                       Kernel{.size = 3, .stride = 2, .padding = 1, .output_padding = 1},
                                       shape.norm)));
    last_ = child("last", std::make_shared<Convolved>(make, channels, shape.out, wide, "none"));
  }

  Output forward(const Input& in) override {
    Tensor x = torch::relu(first_->forward(reflected(in.x, 3)));
    for (const auto& unit : down_) x = torch::relu(unit->forward(x));
    for (const auto& block : blocks_) x = block->forward(x);
    for (const auto& unit : up_) x = torch::relu(unit->forward(x));
    return {torch::tanh(last_->forward(reflected(x, 3)))};
  }

 private:
  std::shared_ptr<Convolved> first_, last_;
  std::vector<std::shared_ptr<Convolved>> down_;
  std::vector<std::shared_ptr<ResidualBlock>> blocks_;
  std::vector<std::shared_ptr<Transposed>> up_;
};

class PatchDiscriminator final : public Network {
 public:
  PatchDiscriminator(Maker& make, const TranslationShape& shape, int64_t layers) {
    int64_t in = shape.in;
    for (int64_t i = 0; i <= layers; ++i) {
      const int64_t out = shape.width * std::min<int64_t>(int64_t{1} << i, 8);
      const Kernel kernel{.size = 4, .stride = i < layers ? 2 : 1, .padding = 1};
      units_.push_back(child(std::to_string(i), std::make_shared<Convolved>(make, in, out, kernel,
                                                                            i == 0 ? "none" : shape.norm)));
      in = out;
    }
    score_ = child("score", std::make_shared<Convolved>(
                                make, in, 1, Kernel{.size = 4, .stride = 1, .padding = 1}, "none"));
  }

  Output forward(const Input& in) override {
    Tensor x = in.x;
    for (const auto& unit : units_) x = torch::leaky_relu(unit->forward(x), 0.2);
    return {score_->forward(x)};
  }

 private:
  std::vector<std::shared_ptr<Convolved>> units_;
  std::shared_ptr<Convolved> score_;
};

}  // namespace

std::shared_ptr<Network> resnet_generator(Maker& make, const TranslationShape& shape, int64_t blocks,
                                          int64_t halvings) {
  return std::make_shared<ResnetGenerator>(make, shape, blocks, halvings);
}

std::shared_ptr<Network> patch_discriminator(Maker& make, const TranslationShape& shape, int64_t layers) {
  return std::make_shared<PatchDiscriminator>(make, shape, layers);
}

}  // namespace saddle
