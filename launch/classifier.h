// A small convolutional classifier, trained here on the data's labels: a judge of conditional samples, and a
// source of features for Fréchet distances ("FD(classifier)", never called FID).
#pragma once

#include <memory>

#include "data/dataset.h"
#include "dist/comm.h"

namespace saddle {

class Classifier {
 public:
  // Trains for `epochs` on all but the last `held_out` samples of labelled image data; on one rank,
  // deterministic in the seed. Exit::data if the data have no image [C, H, W] and label.
  Classifier(const Dataset& data, uint64_t seed, int64_t epochs = 2, int64_t held_out = 5000);
  ~Classifier();

  torch::Tensor features(const torch::Tensor& images) const;  // floats in [-1, 1] [N, C, H, W] -> [N, 128]
  torch::Tensor predict(const torch::Tensor& images) const;   // int64 [N]
  double held_out_accuracy() const { return accuracy_; }      // on the samples it has not seen

 private:
  struct Net;
  std::unique_ptr<Net> net_;
  double accuracy_ = 0;
};

}  // namespace saddle
