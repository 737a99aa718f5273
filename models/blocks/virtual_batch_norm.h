// Virtual batch normalisation (Salimans et al. 2016, "Improved techniques for training GANs", section 3.5):
// each example is normalised by the statistics of a fixed reference batch and of itself, so that its output
// does not depend on the other examples of its batch.
#pragma once

#include "models/module.h"

namespace saddle {

// The reference batch, input of the net whose layers use it: chosen once, the same on any number of ranks and
// in every checkpoint. In training each rank carries a slice of it through the net.
class ReferenceBatch final : public Module {
 public:
  // [n, ...]. It starts as N(0, 1), as latents are.
  ReferenceBatch(Maker& make, at::IntArrayRef shape);
  // Collective. From here on it is these rows, of all ranks in order; Exit::usage if they are not n in all.
  void choose(const torch::Tensor& slice);
  // This rank's rows, perhaps none; all of them in evaluation mode.
  torch::Tensor slice() const;

  torch::Tensor rows;  // [n, ...], buffer

 private:
  Comm comm_;
};

// One layer. In training mode it is collective, and so are its derivatives (dist/differentiable.h): every
// rank gives the activations of its slice of the reference batch. In evaluation mode a rank works by itself,
// with the activations of the whole reference batch.
class VirtualBatchNorm final : public Module {
 public:
  struct Pair {
    torch::Tensor reference, x;
  };
  // The scale starts as N(1, stddev), the shift as 0.
  VirtualBatchNorm(Maker& make, int64_t channels, double stddev = 0, double eps = 1e-5);
  // [n, C, ...] and [B, C, ...] of the same C; n and B may be 0 on some ranks. The reference comes out
  // normalised by its own mean and variance, an example by the moments of the n + 1: those of the reference
  // weigh n / (n + 1), its own 1 / (n + 1). Moments are float32 for inputs below it; outputs have the inputs'
  // dtype.
  Pair forward(const torch::Tensor& reference, const torch::Tensor& x) const;

  torch::Tensor weight, bias;  // [C], parameters

 private:
  Comm comm_;
  double eps_;
};

}  // namespace saddle
