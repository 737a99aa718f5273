// What classifiers that learn from few labels and many images share (Laine and Aila 2017): the net, the loss
// of the labels that are known, augmentation, and the ramp of the other loss. Data: the field "label" with
// -1 where the class is unknown, and "id", a sample's number in the data set (SystemEntry::semi_supervised).
#pragma once

#include "data/dataset.h"
#include "models/nets/classifier.h"
#include "models/system.h"

namespace saddle {

struct SemiSupervisedOptions {
  int64_t width = 128;
  double noise = 0.15, dropout = 0.5;
  int64_t shift = 2;
  bool flip = false;
  double consistency = 30;
  int64_t ramp = 0;
  AdamOptions adam{.lr = 3e-3, .beta1 = 0.9};
};

// Keys width, noise, dropout, shift, flip, consistency, ramp; c.lr, ... of Adam.
void describe(OptionTable& table, SemiSupervisedOptions& options);

// The net "C" and its player "c". Captured by value in losses.
struct SemiSupervised {
  Net net;
  Player* player = nullptr;
  std::string field;  // of the images
  int64_t classes = 0;
  SemiSupervisedOptions options;
  double height = 0;  // of the consistency's weight: options.consistency times the share of known labels
  int64_t steps = 0;  // of the ramp

  // Scores of the batch's images, each shifted and flipped at random, with noise and dropout.
  torch::Tensor scores(Step& step) const;
  // The cross-entropy where the label is known, summed and divided by all samples of the batch. Reported.
  torch::Tensor supervised(Step& step, const torch::Tensor& scores) const;
  // height exp(-5 (1 - t / steps)^2) at step t, 0 at step 0.
  torch::Tensor weight(Step& step) const;
  // The mean over samples and classes of (z - target)^2, of samples [B] with weights 1 or 0 if those are
  // given. Reported.
  torch::Tensor consistency(Step& step, const torch::Tensor& z, const torch::Tensor& target,
                            const torch::Tensor& counts = {}) const;
};

// Exit::data without images or labels.
SemiSupervised make_semi_supervised(System& system, const SemiSupervisedOptions& options, const Schema& data);

// For tests: 20 images, of which every third has a label: few, so that some steps are more than an epoch.
std::shared_ptr<Dataset> few_labels();

// [B, C, H, W] moved by up to `by` pixels in each direction, borders reflected (Laine and Aila 2017,
// appendix); flipped left to right with one half probability if `flip`.
torch::Tensor jittered(Draw& draw, const torch::Tensor& images, int64_t by, bool flip);

}  // namespace saddle
