#include "models/blocks/layers.h"
#include "models/blocks/minibatch.h"
#include "models/nets/parts.h"

namespace saddle {
namespace {

template <class Convolution>
struct Stage {
  std::shared_ptr<Convolution> convolution;
  std::shared_ptr<Normalised> norm;
};

class ConvGenerator final : public Network {
 public:
  ConvGenerator(Maker& make, const NetShape& shape, const NetOptions& options) {
    const Ladder steps = ladder(shape.field, options.depth);
    const Norm norm = norm_of(options.norm);
    int64_t channels = options.width << (steps.depth - 1), in = shape.latent;
    if (shape.classes > 0) {
      embed_ = child("embed", std::make_shared<Embedding>(make, shape.classes, shape.embedding));
      in += shape.embedding;
    }
    base_ = {-1, channels, steps.height, steps.width};
    const LayerOptions hidden = layer_with(norm, norm);
    // A dense layer to H/2^k x W/2^k is the first transposed convolution of the paper.
    project_ =
        child("project", std::make_shared<Linear>(make, in, channels * steps.height * steps.width, hidden));
    first_ = child("norm", std::make_shared<Normalised>(make, channels, norm));
    for (int64_t i = 0; i < steps.depth; ++i, channels /= 2) {
      const bool last = i + 1 == steps.depth;
      const int64_t out = last ? shape.field.shape[0] : channels / 2;
      const std::string name = fmt::format("up{}", i);
      stages_.push_back(
          {child(name, std::make_shared<ConvTranspose2d>(make, channels, out, Kernel{},
                                                         last ? layer_with(Norm::none, norm) : hidden)),
           child(name + "_norm", std::make_shared<Normalised>(make, out, last ? Norm::none : norm))});
    }
  }

  Output forward(const Input& in) override {
    torch::Tensor x = embed_ ? torch::cat({in.x, embed_->forward(in.y)}, 1) : in.x;
    x = torch::relu(first_->forward(project_->forward(x).view(base_)));
    for (size_t i = 0; i < stages_.size(); ++i) {
      x = stages_[i].norm->forward(stages_[i].convolution->forward(x));
      x = i + 1 < stages_.size() ? torch::relu(x) : torch::tanh(x);
    }
    return {x};
  }

 private:
  std::vector<int64_t> base_;
  std::shared_ptr<Embedding> embed_;
  std::shared_ptr<Linear> project_;
  std::shared_ptr<Normalised> first_;
  std::vector<Stage<ConvTranspose2d>> stages_;
};

class ConvDiscriminator final : public Network {
 public:
  ConvDiscriminator(Maker& make, const NetShape& shape, const NetOptions& options) {
    const Ladder steps = ladder(shape.field, options.depth);
    const Norm norm = norm_of(options.norm);
    int64_t in = shape.field.shape[0], out = options.width;
    const bool projected = options.labels == "projection";
    if (shape.classes > 0 && !projected) {
      embed_ = child("embed", std::make_shared<Embedding>(make, shape.classes, shape.embedding));
      in += shape.embedding;
    }
    for (int64_t i = 0; i < steps.depth; ++i, in = out, out *= 2) {
      const Norm here = i == 0 ? Norm::none : norm;
      const std::string name = fmt::format("down{}", i);
      stages_.push_back(
          {child(name, std::make_shared<Conv2d>(make, in, out, Kernel{}, layer_with(here, norm))),
           child(name + "_norm", std::make_shared<Normalised>(make, out, here))});
    }
    Layers layers;
    for (const auto& stage : stages_) layers.push_back({stage.convolution, stage.norm});
    freeze_lowest(layers, options.freeze);
    if (options.minibatch_std > 0) {
      std_ = child("minibatch_std", std::make_shared<MinibatchStd>(make, options.minibatch_std));
      ++in;
    }
    const int64_t features = in * steps.height * steps.width;
    judge_ =
        child("judge", std::make_shared<Linear>(make, features, shape.outputs, layer_with(Norm::none, norm)));
    if (shape.classes > 0 && projected)
      projection_ = child("projection", std::make_shared<Embedding>(make, shape.classes, features));
  }

  Output forward(const Input& in) override {
    torch::Tensor x = in.x;
    for (size_t i = 0; i < stages_.size(); ++i) {
      const auto& [convolution, norm] = stages_[i];
      x = embed_ && i == 0 ? convolution->forward(x, embed_->weight.to(x.scalar_type()), in.y)
                           : convolution->forward(x);
      x = torch::leaky_relu(norm->forward(x), 0.2);
    }
    if (std_) x = std_->forward(x);
    const torch::Tensor features = x.flatten(1), score = judge_->forward(features);
    return {projection_ ? score + projection(projection_->forward(in.y), features) : score};
  }

 private:
  std::shared_ptr<Embedding> embed_, projection_;
  std::vector<Stage<Conv2d>> stages_;
  std::shared_ptr<MinibatchStd> std_;
  std::shared_ptr<Linear> judge_;
};

bool is_image(const NetShape& shape) {
  return shape.field.shape.size() == 3;
}

}  // namespace

std::shared_ptr<Network> conv_generator(Maker& make, const NetShape& shape, const NetOptions& options) {
  return std::make_shared<ConvGenerator>(make, shape, options);
}

std::shared_ptr<Network> conv_discriminator(Maker& make, const NetShape& shape, const NetOptions& options) {
  return std::make_shared<ConvDiscriminator>(make, shape, options);
}

std::shared_ptr<Network> generator_for(Maker& make, const NetShape& shape, const NetOptions& options) {
  if (options.net == "resnet") return resnet_generator(make, shape, options);
  return (is_image(shape) ? conv_generator : mlp_generator)(make, shape, options);
}

std::shared_ptr<Network> discriminator_for(Maker& make, const NetShape& shape, const NetOptions& options) {
  if (options.net == "resnet") return resnet_discriminator(make, shape, options);
  return (is_image(shape) ? conv_discriminator : mlp_discriminator)(make, shape, options);
}

}  // namespace saddle
