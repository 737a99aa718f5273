// A small convolutional classifier, trained here on the data's labels: a judge of conditional samples, and a
// source of features for Fréchet distances ("FD(classifier)", never called FID).
#pragma once

#include <memory>
#include <vector>

#include "data/dataset.h"
#include "dist/comm.h"

namespace saddle {

class Classifier {
 public:
  // Trains on one rank, deterministically in the seed. It is tested on `held_out`, data of the same schema;
  // without such on a share of every class that it does not see. Exit::data if the data have no image [C, H,
  // W] and label, or no class with two images.
  explicit Classifier(const Dataset& data, uint64_t seed, const Dataset* held_out = nullptr);
  ~Classifier();

  torch::Tensor features(const torch::Tensor& images) const;  // floats in [-1, 1] [N, C, H, W] -> [N, 128]
  torch::Tensor predict(const torch::Tensor& images) const;   // int64 [N]
  double held_out_accuracy() const { return accuracy_; }      // on the samples it has not seen
  double majority_share() const { return majority_; }  // of them in their commonest class: a blind guess's

 private:
  struct Net;
  void train(const Dataset& data, const std::vector<int64_t>& samples, uint64_t seed);
  void test(const Dataset& data, const std::vector<int64_t>& samples);
  std::unique_ptr<Net> net_;
  double accuracy_ = 0, majority_ = 0;
};

}  // namespace saddle
