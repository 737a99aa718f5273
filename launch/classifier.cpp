#include "launch/classifier.h"

#include <numeric>

#include "data/loader.h"
#include "data/sampler.h"
#include "dist/error.h"
#include "dist/log.h"
#include "dist/replica.h"
#include "models/blocks/layers.h"
#include "models/optimizer.h"

namespace saddle {

struct Classifier::Net : Module {
  Net(Maker& make, const Field& image, int64_t classes)
      : c1(child("c1", std::make_shared<Conv2d>(make, image.shape[0], 32, Kernel{3, 2, 1}))),
        c2(child("c2", std::make_shared<Conv2d>(make, 32, 64, Kernel{3, 2, 1}))),
        f1(child("f1", std::make_shared<Linear>(
                           make, 64 * ((image.shape[1] + 3) / 4) * ((image.shape[2] + 3) / 4), 128))),
        f2(child("f2", std::make_shared<Linear>(make, 128, classes))) {}
  torch::Tensor features(const torch::Tensor& x) const {
    const torch::Tensor maps = torch::relu(c2->forward(torch::relu(c1->forward(x))));
    return torch::relu(f1->forward(maps.flatten(1)));
  }
  std::shared_ptr<Conv2d> c1, c2;
  std::shared_ptr<Linear> f1, f2;
};

namespace {

constexpr int64_t kBatch = 128;

std::vector<int64_t> consecutive(int64_t first, int64_t count) {
  std::vector<int64_t> indices(count);
  std::iota(indices.begin(), indices.end(), first);
  return indices;
}

// `f` over pieces of a batch of images, concatenated.
template <class F>
torch::Tensor in_pieces(const torch::Tensor& images, F f) {
  at::NoGradGuard no_grad;
  std::vector<torch::Tensor> pieces;
  for (const torch::Tensor& piece : images.to(torch::kFloat).split(500)) pieces.push_back(f(piece));
  return torch::cat(pieces);
}

}  // namespace

Classifier::Classifier(const Dataset& data, uint64_t seed, int64_t epochs, int64_t held_out) {
  const Schema& schema = data.schema();
  require(schema.has("image") && schema.has("label"), Exit::data,
          "a classifier needs images with labels, found {}", describe(schema));
  Maker make(World::alone(), seed);
  net_ = std::make_unique<Net>(make, schema["image"], schema["label"].classes);
  Replica replica(make.comm, net_->parameters());
  const auto adam = make_optimizer(AdamOptions{.lr = 1e-3, .beta1 = 0.9}, replica.weights());

  const int64_t training = data.size() - std::min(held_out, data.size() / 5);
  const Shuffle order(training, seed);
  for (int64_t at = 0; at + kBatch <= epochs * training; at += kBatch) {
    std::vector<int64_t> indices;
    for (int64_t i = 0; i < kBatch; ++i) indices.push_back(order(at + i));
    const Batch batch = data.read(indices);
    replica.zero_grad();
    const torch::Tensor logits =
        net_->f2->forward(net_->features(to_model(batch["image"], torch::kCPU, torch::kFloat)));
    torch::cross_entropy_loss(logits, batch["label"]).backward();
    at::NoGradGuard no_grad;
    adam->step(replica.weights(), replica.gradients());
  }
  const Batch unseen = data.read(consecutive(training, data.size() - training));
  const torch::Tensor right =
      predict(to_model(unseen["image"], torch::kCPU, torch::kFloat)).eq(unseen["label"]);
  accuracy_ = right.to(torch::kDouble).mean().item<double>();
}

Classifier::~Classifier() = default;

torch::Tensor Classifier::features(const torch::Tensor& images) const {
  return in_pieces(images, [&](const torch::Tensor& x) { return net_->features(x); });
}

torch::Tensor Classifier::predict(const torch::Tensor& images) const {
  return in_pieces(images,
                   [&](const torch::Tensor& x) { return net_->f2->forward(net_->features(x)).argmax(1); });
}

}  // namespace saddle
