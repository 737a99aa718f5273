// A pool of past fakes (Shrivastava et al. 2017, section 2.3), from which D sees half of what it sees:
// CycleGAN's, with 50 images. Replicated on all ranks and filled in the order of the global batch, so that
// any number of ranks holds the same.
#pragma once

#include "models/system.h"

namespace saddle {

class ImagePool {
 public:
  // Kept in the system as "keep.pool.<name>". 0 images: each fake goes through as it is.
  ImagePool(System& system, const std::string& name, int64_t images, at::IntArrayRef shape);

  // Collective. For each of [B, C, H, W] in turn: while the pool is not full the image is stored and
  // returned; then with one half probability it takes the place of a random stored one, which is returned. No
  // gradient.
  torch::Tensor operator()(Step& step, const torch::Tensor& images) const;

 private:
  Comm comm_;
  int64_t most_;
  std::shared_ptr<torch::Tensor> pool_;
};

}  // namespace saddle
