#include "models/nets/classifier.h"

#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/max_pool2d.h>

#include "dist/error.h"
#include "models/blocks/batch_norm.h"
#include "models/blocks/layers.h"

namespace saddle {
namespace {

using torch::Tensor;

class Convolved final : public Module {
 public:
  Convolved(Maker& make, int64_t in, int64_t out, int64_t size, int64_t padding) {
    convolution_ = child("convolution", std::make_shared<Conv2d>(make, in, out, Kernel{size, 1, padding},
                                                                 LayerOptions{.bias = false}));
    norm_ = child("norm", std::make_shared<BatchNorm>(make, out));
  }
  Tensor forward(const Tensor& x) const {
    return at::leaky_relu(norm_->forward(convolution_->forward(x)), 0.1);
  }

 private:
  std::shared_ptr<Conv2d> convolution_;
  std::shared_ptr<BatchNorm> norm_;
};

class ConsistencyClassifier final : public Network {
 public:
  ConsistencyClassifier(Maker& make, const ClassifierShape& shape)
      : noise_(shape.noise), drop_(shape.dropout) {
    const int64_t w = shape.width;
    int64_t in = shape.image.shape[0];
    const auto add = [&](int64_t out, int64_t size, int64_t padding) {
      layers_.push_back(
          child(std::to_string(layers_.size()), std::make_shared<Convolved>(make, in, out, size, padding)));
      in = out;
    };
    for (const int64_t out : {w, w, w, 2 * w, 2 * w, 2 * w}) add(out, 3, 1);
    add(4 * w, 3, 0);
    add(2 * w, 1, 0);
    add(w, 1, 0);
    scores_ = child("scores", std::make_shared<Linear>(make, w, shape.classes));
  }

  Output forward(const Input& in) override {
    constexpr size_t kPooled[] = {3, 6};  // before these layers
    Tensor x = in.x;
    Draw* draw = training() ? in.draw : nullptr;
    if (draw && noise_ > 0) x = x + noise_ * draw->normal(x.sizes().slice(1)).to(x.scalar_type());
    for (size_t i = 0; i < layers_.size(); ++i) {
      if (i == kPooled[0] || i == kPooled[1]) x = dropped(at::max_pool2d(x, {2, 2}), draw);
      x = layers_[i]->forward(x);
    }
    const Tensor features = x.mean({2, 3});
    return {scores_->forward(features), {{"features", features}}};
  }

 private:
  Tensor dropped(const Tensor& x, Draw* draw) const {
    if (!draw || drop_ == 0) return x;
    const Tensor kept = draw->uniform(x.sizes().slice(1)).ge(drop_).to(x.scalar_type());
    return x * kept / (1 - drop_);
  }

  double noise_, drop_;
  std::vector<std::shared_ptr<Convolved>> layers_;
  std::shared_ptr<Linear> scores_;
};

class PlainClassifier final : public Network {
 public:
  PlainClassifier(Maker& make, const Field& image, int64_t classes, int64_t width) {
    constexpr int64_t kFew = 8;  // rows and columns left
    int64_t in = image.shape[0], height = image.shape[1], columns = image.shape[2];
    for (int64_t out = width; convolutions_.size() < 2 || std::max(height, columns) > kFew;
         out = std::min(2 * out, 4 * width)) {
      convolutions_.push_back(child(fmt::format("convolution{}", convolutions_.size()),
                                    std::make_shared<Conv2d>(make, in, out, Kernel{3, 2, 1})));
      in = out;
      height = (height + 1) / 2;
      columns = (columns + 1) / 2;
    }
    features_ = child("features", std::make_shared<Linear>(make, in * height * columns, 4 * width));
    scores_ = child("scores", std::make_shared<Linear>(make, 4 * width, classes));
  }

  Output forward(const Input& in) override {
    Tensor x = in.x;
    for (const auto& convolution : convolutions_) x = torch::relu(convolution->forward(x));
    const Tensor features = torch::relu(features_->forward(x.flatten(1)));
    return {scores_->forward(features), {{"features", features}}};
  }

 private:
  std::vector<std::shared_ptr<Conv2d>> convolutions_;
  std::shared_ptr<Linear> features_, scores_;
};

}  // namespace

std::shared_ptr<Network> plain_classifier(Maker& make, const Field& image, int64_t classes, int64_t width) {
  require(image.shape.size() == 3, Exit::data, "this classifier takes images [C, H, W], the data have {}",
          describe(Schema{{image}}));
  return std::make_shared<PlainClassifier>(make, image, classes, width);
}

std::shared_ptr<Network> consistency_classifier(Maker& make, const ClassifierShape& shape) {
  constexpr int64_t kLeast = 12;  // halved twice, and three more
  require(shape.image.shape.size() == 3 && shape.image.shape[1] >= kLeast && shape.image.shape[2] >= kLeast,
          Exit::data, "this classifier takes images of {0}x{0} pixels or more, the data have {1}", kLeast,
          describe(Schema{{shape.image}}));
  return std::make_shared<ConsistencyClassifier>(make, shape);
}

}  // namespace saddle
