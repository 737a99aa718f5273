// Features by which a discriminator compares the samples of a batch with each other, so that a generator
// without variety is found out. Samples are compared within groups of the *global* batch: sample i, counted
// over all ranks, is in group i / group. The result does not depend on the number of ranks.
//
// Both are collective: the ranks tell each other how many samples they have, any number, on the host. The
// samples themselves travel only where a group has some of two ranks, and then derivatives are collective too
// (dist/differentiable.h). Exit::usage if the global batch does not divide into groups.
#pragma once

#include "models/module.h"

namespace saddle {

// Minibatch standard deviation (Karras et al. 2018, "Progressive growing of GANs", section 3, in groups as
// StyleGAN2 has it): [B, C, H, W] -> [B, C + 1, H, W]. The new map holds the standard deviation over the
// group of each channel and place, averaged over these; 1e-8 inside the root, as there.
class MinibatchStd final : public Module {
 public:
  // A group of 0 is the global batch.
  MinibatchStd(Maker& make, int64_t group);
  torch::Tensor forward(const torch::Tensor& x) const;

 private:
  Comm comm_;
  int64_t group_;
};

// Minibatch discrimination (Salimans et al. 2016, section 3.2): [B, features] -> [B, features + kernels].
// With M_i = x_i T, T [features, kernels, dims], the new features are o(x_i)_b = sum_j exp(-|M_ib - M_jb|_1)
// over the j of the group, i among them.
class MinibatchDiscrimination final : public Module {
 public:
  // A group of 0 is the global batch, as in the paper.
  MinibatchDiscrimination(Maker& make, int64_t features, int64_t kernels, int64_t dims, int64_t group = 0);
  torch::Tensor forward(const torch::Tensor& x) const;

  torch::Tensor weight;  // T, as [kernels * dims, features], parameter

 private:
  Comm comm_;
  int64_t kernels_, dims_, group_;
};

}  // namespace saddle
