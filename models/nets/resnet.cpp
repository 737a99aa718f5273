#include <algorithm>
#include <cmath>

#include "dist/error.h"
#include "models/blocks/minibatch.h"
#include "models/blocks/resampled.h"
#include "models/nets/parts.h"

namespace saddle {
namespace {

using torch::Tensor;

enum class Resample { none, up, down };

// N(0, sqrt(gain / (fan in + fan out))): gain 4 before a ReLU, 2 for shortcuts.
LayerOptions scaled(int64_t in, int64_t out, int64_t pixels, double gain, Norm net) {
  return {.bias = true,
          .stddev = std::sqrt(gain / static_cast<double>((in + out) * pixels)),
          .spectral = net == Norm::spectral};
}

// A 3x3 convolution, beside which the image is resampled.
class Convolved final : public Module {
 public:
  Convolved(Maker& make, int64_t in, int64_t out, Resample how, Norm net, bool folded) {
    const LayerOptions options = scaled(in, out, 9, 4, net);
    if (how == Resample::up) up_ = child("up", std::make_shared<UpConv2d>(make, in, out, options, folded));
    if (how == Resample::down)
      down_ = child("down", std::make_shared<DownConv2d>(make, in, out, options, folded));
    if (how == Resample::none)
      plain_ = child("plain", std::make_shared<Conv2d>(make, in, out, Kernel{3, 1, 1}, options));
  }
  Tensor forward(const Tensor& x) const {
    return up_ ? up_->forward(x) : down_ ? down_->forward(x) : plain_->forward(x);
  }

 private:
  std::shared_ptr<UpConv2d> up_;
  std::shared_ptr<DownConv2d> down_;
  std::shared_ptr<Conv2d> plain_;
};

// norm, ReLU, 3x3, norm, ReLU, 3x3 beside a shortcut that is resampled alike. The first block of D begins
// with its convolution.
class Block final : public Module {
 public:
  struct Shape {
    int64_t in, out;
    Resample how = Resample::none;
    Norm norm = Norm::none;
    bool first = false, folded = true;
  };
  Block(Maker& make, const Shape& s) : how_(s.how), first_(s.first) {
    const int64_t inner = s.how == Resample::down && !s.first ? s.in : s.out;
    const Norm between = s.norm == Norm::spectral ? Norm::none : s.norm;
    if (!s.first) norm0_ = child("norm0", std::make_shared<Normalised>(make, s.in, between));
    norm1_ = child("norm1", std::make_shared<Normalised>(make, inner, between));
    conv0_ = child("conv0", std::make_shared<Convolved>(make, s.in, inner,
                                                        s.how == Resample::up ? Resample::up : Resample::none,
                                                        s.norm, s.folded));
    conv1_ = child("conv1", std::make_shared<Convolved>(
                                make, inner, s.out, s.how == Resample::down ? Resample::down : Resample::none,
                                s.norm, s.folded));
    if (s.in != s.out || s.how != Resample::none)
      shortcut_ = child("shortcut", std::make_shared<Conv2d>(make, s.in, s.out, Kernel{1, 1, 0},
                                                             scaled(s.in, s.out, 1, 2, s.norm)));
  }
  Tensor forward(const Tensor& x) const {
    Tensor y = first_ ? x : torch::relu(norm0_->forward(x));
    y = conv1_->forward(torch::relu(norm1_->forward(conv0_->forward(y))));
    return y + shortcut(x);
  }

 private:
  // A 1x1 convolution and a resampling may change places: at the lower resolution it costs a quarter.
  Tensor shortcut(const Tensor& x) const {
    if (!shortcut_) return x;
    if (how_ == Resample::up) return doubled(shortcut_->forward(x));
    return shortcut_->forward(how_ == Resample::down ? halved(x) : x);
  }
  Resample how_;
  bool first_;
  std::shared_ptr<Normalised> norm0_, norm1_;
  std::shared_ptr<Convolved> conv0_, conv1_;
  std::shared_ptr<Conv2d> shortcut_;
};

class ResnetGenerator final : public Network {
 public:
  ResnetGenerator(Maker& make, const NetShape& shape, const NetOptions& options, bool folded) {
    const Ladder steps = ladder(shape.field, options.depth);
    const Norm norm = norm_of(options.norm);
    const int64_t w = options.width;
    int64_t in = shape.latent;
    if (shape.classes > 0) {
      embed_ = child("embed", std::make_shared<Embedding>(make, shape.classes, shape.embedding));
      in += shape.embedding;
    }
    base_ = {-1, w, steps.height, steps.width};
    const int64_t out = w * steps.height * steps.width;
    project_ = child("project", std::make_shared<Linear>(make, in, out, scaled(in, out, 1, 2, Norm::none)));
    for (int64_t i = 0; i < steps.depth; ++i)
      blocks_.push_back(child(
          fmt::format("up{}", i),
          std::make_shared<Block>(
              make, Block::Shape{.in = w, .out = w, .how = Resample::up, .norm = norm, .folded = folded})));
    norm_ = child("norm", std::make_shared<Normalised>(make, w, norm));
    const int64_t channels = shape.field.shape[0];
    image_ = child("image", std::make_shared<Conv2d>(make, w, channels, Kernel{3, 1, 1},
                                                     scaled(w, channels, 9, 2, Norm::none)));
  }
  Output forward(const Input& in) override {
    Tensor x = embed_ ? torch::cat({in.x, embed_->forward(in.y)}, 1) : in.x;
    x = project_->forward(x).view(base_);
    for (const auto& block : blocks_) x = block->forward(x);
    return {torch::tanh(image_->forward(torch::relu(norm_->forward(x))))};
  }

 private:
  std::vector<int64_t> base_;
  std::shared_ptr<Embedding> embed_;
  std::shared_ptr<Linear> project_;
  std::vector<std::shared_ptr<Block>> blocks_;
  std::shared_ptr<Normalised> norm_;
  std::shared_ptr<Conv2d> image_;
};

class ResnetDiscriminator final : public Network {
 public:
  ResnetDiscriminator(Maker& make, const NetShape& shape, const NetOptions& options, bool folded) {
    // The last blocks see twice the pixels that a DCGAN's last layer does.
    const int64_t halvings = std::max<int64_t>(1, ladder(shape.field, options.depth).depth - 1);
    const Norm norm = norm_of(options.norm);
    const int64_t w = options.width;
    for (int64_t i = 0; i < halvings + 2; ++i)
      blocks_.push_back(child(
          fmt::format("{}{}", i < halvings ? "down" : "plain", i),
          std::make_shared<Block>(make, Block::Shape{.in = i == 0 ? shape.field.shape[0] : w,
                                                     .out = w,
                                                     .how = i < halvings ? Resample::down : Resample::none,
                                                     .norm = norm,
                                                     .first = i == 0,
                                                     .folded = folded})));
    Layers layers;
    for (const auto& block : blocks_) layers.push_back({block});
    freeze_lowest(layers, options.freeze);
    int64_t features = w;
    if (options.minibatch_std > 0) {
      std_ = child("minibatch_std", std::make_shared<MinibatchStd>(make, options.minibatch_std));
      ++features;
    }
    score_ = child("score", std::make_shared<Linear>(make, features, shape.outputs,
                                                     scaled(features, shape.outputs, 1, 2, norm)));
    if (shape.classes > 0)
      embed_ = child("embed", std::make_shared<Embedding>(make, shape.classes, features));
  }
  Output forward(const Input& in) override {
    Tensor x = in.x;
    for (const auto& block : blocks_) x = block->forward(x);
    if (std_) x = std_->forward(x);
    const Tensor features = torch::relu(x).mean({2, 3});
    const Tensor score = score_->forward(features);
    return {embed_ ? score + projection(embed_->forward(in.y), features) : score, {{"features", features}}};
  }

 private:
  std::vector<std::shared_ptr<Block>> blocks_;
  std::shared_ptr<MinibatchStd> std_;
  std::shared_ptr<Linear> score_;
  std::shared_ptr<Embedding> embed_;
};

}  // namespace

std::shared_ptr<Network> resnet_generator(Maker& make, const NetShape& shape, const NetOptions& options,
                                          bool folded) {
  return std::make_shared<ResnetGenerator>(make, shape, options, folded);
}

std::shared_ptr<Network> resnet_discriminator(Maker& make, const NetShape& shape, const NetOptions& options,
                                              bool folded) {
  return std::make_shared<ResnetDiscriminator>(make, shape, options, folded);
}

}  // namespace saddle
