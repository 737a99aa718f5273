#include "models/blocks/layers.h"
#include "models/nets/nets.h"

namespace saddle {
namespace {

// Hidden layers of `width`, then one to `out`, with `activate` between.
class Perceptron final : public Module {
 public:
  using Activation = torch::Tensor (*)(const torch::Tensor&);
  Perceptron(Maker& make, int64_t in, int64_t out, const NetOptions& options, Activation activate)
      : activate_(activate) {
    const int64_t hidden = options.depth > 0 ? options.depth : 3;
    for (int64_t i = 0; i <= hidden; ++i) {
      const int64_t to = i < hidden ? options.width : out;
      layers_.push_back(child(std::to_string(i), std::make_shared<Linear>(make, in, to)));
      in = to;
    }
  }

  // All but the last.
  Layers hidden() const {
    Layers layers;
    for (size_t i = 0; i + 1 < layers_.size(); ++i) layers.push_back({layers_[i]});
    return layers;
  }

  torch::Tensor forward(torch::Tensor x) const {
    for (size_t i = 0; i + 1 < layers_.size(); ++i) x = activate_(layers_[i]->forward(x));
    return layers_.back()->forward(x);
  }

 private:
  std::vector<std::shared_ptr<Linear>> layers_;
  Activation activate_;
};

// What both nets share: an embedding of the label beside the input, then the perceptron.
class MlpNetwork : public Network {
 protected:
  MlpNetwork(Maker& make, const NetShape& shape, int64_t in, int64_t out, const NetOptions& options,
             Perceptron::Activation activate) {
    if (shape.classes > 0) {
      embed_ = child("embed", std::make_shared<Embedding>(make, shape.classes, shape.embedding));
      in += shape.embedding;
    }
    main_ = child("main", std::make_shared<Perceptron>(make, in, out, options, activate));
  }
  torch::Tensor run(const torch::Tensor& x, const torch::Tensor& y) const {
    return main_->forward(embed_ ? torch::cat({x, embed_->forward(y)}, 1) : x);
  }
  Layers hidden() const { return main_->hidden(); }

 private:
  std::shared_ptr<Embedding> embed_;
  std::shared_ptr<Perceptron> main_;
};

class MlpGenerator final : public MlpNetwork {
 public:
  MlpGenerator(Maker& make, const NetShape& shape, const NetOptions& options)
      : MlpNetwork(make, shape, shape.latent, shape.field.elements(), options,
                   [](const torch::Tensor& x) { return torch::relu(x); }),
        shape_(shape.field.shape),
        image_(shape.field.shape.size() == 3) {
    shape_.insert(shape_.begin(), -1);
  }
  Output forward(const Input& in) override {
    const torch::Tensor x = run(in.x, in.y);
    return {(image_ ? torch::tanh(x) : x).view(shape_)};
  }

 private:
  std::vector<int64_t> shape_;
  bool image_;
};

class MlpDiscriminator final : public MlpNetwork {
 public:
  MlpDiscriminator(Maker& make, const NetShape& shape, const NetOptions& options)
      : MlpNetwork(make, shape, shape.field.elements(), shape.outputs, options,
                   [](const torch::Tensor& x) { return torch::leaky_relu(x, 0.2); }) {
    freeze_lowest(hidden(), options.freeze);
  }
  Output forward(const Input& in) override { return {run(in.x.flatten(1), in.y)}; }
};

}  // namespace

std::shared_ptr<Network> mlp_generator(Maker& make, const NetShape& shape, const NetOptions& options) {
  return std::make_shared<MlpGenerator>(make, shape, options);
}

std::shared_ptr<Network> mlp_discriminator(Maker& make, const NetShape& shape, const NetOptions& options) {
  return std::make_shared<MlpDiscriminator>(make, shape, options);
}

}  // namespace saddle
