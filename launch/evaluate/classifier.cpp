#include "launch/evaluate/classifier.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "data/feed/loader.h"
#include "data/feed/sampler.h"
#include "dist/error.h"
#include "dist/random.h"
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

constexpr int64_t kBatch = 128, kPiece = 500;
constexpr int64_t kEpochs = 2, kMostEpochs = 20;  // of large and of small data
constexpr int64_t kLeastSteps = 200;
constexpr int64_t kMostHeldOut = 5000;

struct Split {
  std::vector<int64_t> training, held_out;
};

// Of every class a fifth is held out, or less of large data; of a class with two samples or more at least
// one.
Split split(const Dataset& data, uint64_t seed) {
  const ClassTable table = class_table(data, "label", at::get_num_threads());
  const double share = std::min(0.2, static_cast<double>(kMostHeldOut) / static_cast<double>(data.size()));
  Split made;
  for (int64_t label = 0; label < table.classes(); ++label) {
    const int64_t count = table.count(label);
    if (count == 0) continue;
    const auto part = static_cast<int64_t>(std::lround(share * static_cast<double>(count)));
    const int64_t held_out = std::min(count - 1, std::max<int64_t>(1, part));
    const auto order =
        samples_at(Shuffle(count, Stream(seed, "held out", static_cast<uint64_t>(label)).key), 0, count);
    for (int64_t i = 0; i < count; ++i)
      (i < held_out ? made.held_out : made.training)
          .push_back(table.sample(label, order[static_cast<size_t>(i)]));
  }
  require(
      !made.held_out.empty(), Exit::data,
      "a classifier needs two images or more of a class, to learn from one and be tested on another; these "
      "{} samples have {} classes with one image at most: pack more images of each",
      data.size(), table.classes());
  return made;
}

// Of `samples` those at `count` places from `first`, as if they were repeated for ever in orders that the
// seed shuffles.
Batch read_batch(const Dataset& data, const std::vector<int64_t>& samples, const Shuffle& order,
                 int64_t first, int64_t count) {
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < count; ++i) indices.push_back(samples[static_cast<size_t>(order(first + i))]);
  return data.read(indices);
}

torch::Tensor images_of(const Batch& batch) {
  return to_model(batch["image"], torch::kCPU, torch::kFloat);
}

// `f` over pieces of a batch of images, concatenated.
template <class F>
torch::Tensor in_pieces(const torch::Tensor& images, F f) {
  at::NoGradGuard no_grad;
  std::vector<torch::Tensor> pieces;
  for (const torch::Tensor& piece : images.to(torch::kFloat).split(kPiece)) pieces.push_back(f(piece));
  return torch::cat(pieces);
}

}  // namespace

Classifier::Classifier(const Dataset& data, uint64_t seed, const Dataset* held_out) {
  const Schema& schema = data.schema();
  require(schema.has("image") && schema.has("label"), Exit::data,
          "a classifier needs images with labels, found {}", describe(schema));
  Maker make(World::alone(), seed);
  net_ = std::make_unique<Net>(make, schema["image"], schema["label"].classes);
  if (held_out) {
    train(data, samples_at(Shuffle(data.size(), seed), 0, data.size()), seed);
    test(*held_out, samples_at(Shuffle(held_out->size(), seed), 0, std::min(held_out->size(), kMostHeldOut)));
  } else {
    const Split parts = split(data, seed);
    train(data, parts.training, seed);
    test(data, parts.held_out);
  }
}

void Classifier::train(const Dataset& data, const std::vector<int64_t>& samples, uint64_t seed) {
  Replica replica(World::alone(), net_->parameters());
  const auto adam = make_optimizer(AdamOptions{.lr = 1e-3, .beta1 = 0.9}, replica.weights());
  const auto size = static_cast<int64_t>(samples.size());
  const int64_t batch = std::min(kBatch, size);
  const int64_t epochs = std::clamp(kLeastSteps * batch / size, kEpochs, kMostEpochs);
  const Shuffle order(size, seed);
  for (int64_t at = 0; at + batch <= epochs * size; at += batch) {
    const Batch read = read_batch(data, samples, order, at, batch);
    replica.zero_grad();
    const torch::Tensor logits = net_->f2->forward(net_->features(images_of(read)));
    torch::cross_entropy_loss(logits, read["label"]).backward();
    at::NoGradGuard no_grad;
    adam->step(replica.weights(), replica.gradients());
  }
}

void Classifier::test(const Dataset& data, const std::vector<int64_t>& samples) {
  const auto size = static_cast<int64_t>(samples.size());
  torch::Tensor of_class = torch::zeros({data.schema()["label"].classes}, torch::kLong);
  int64_t right = 0;
  for (int64_t at = 0; at < size; at += kPiece) {
    const int64_t end = std::min(size, at + kPiece);
    const Batch piece = data.read({samples.begin() + at, samples.begin() + end});
    right += predict(images_of(piece)).eq(piece["label"]).sum().item<int64_t>();
    of_class += torch::bincount(piece["label"], {}, of_class.numel());
  }
  accuracy_ = static_cast<double>(right) / static_cast<double>(size);
  majority_ = of_class.max().item<double>() / static_cast<double>(size);
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
