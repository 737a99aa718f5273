// R3GAN's nets (Huang et al. 2024, "The GAN is dead; long live the GAN!", figure 5): residual blocks without
// norm, grouped 3x3 convolutions, a 4x4 basis at the start of G and at the end of D.
#pragma once

#include <vector>

#include "data/schema.h"
#include "models/module.h"

namespace saddle {

// A number a stage each, from 4x4 pixels up; each stage has twice the pixels of the one before.
struct R3ganShape {
  std::vector<int64_t> width;   // channels
  std::vector<int64_t> groups;  // of the 3x3 convolutions, whose channels are `expansion` times the width
  std::vector<int64_t> blocks;  // residual blocks
  int64_t expansion = 2;
  int64_t channels = 3;  // of the images
  int64_t latent = 64;
  int64_t classes = 0;       // > 0: conditional
  int64_t g_embedding = 64;  // of G's labels, beside z
  int64_t d_embedding = 0;   // of D's labels; 0: the width at 4x4
};

// For images [C, H, W] with H = W = 4 * 2^k: `width` channels up to `full` stages, half as many a stage from
// there; groups of so many channels, or one group of fewer. Exit::data for other sizes.
R3ganShape r3gan_shape(const Field& image, int64_t width, int64_t full, int64_t blocks, int64_t group = 16);

// G: z [B, latent], labels int64 [B] or one-hot rows [B, classes] -> images [B, C, H, W], no tanh.
std::shared_ptr<Network> r3gan_generator(Maker& make, const R3ganShape& shape);
// D: images, labels likewise -> scores [B, 1].
std::shared_ptr<Network> r3gan_discriminator(Maker& make, const R3ganShape& shape);

}  // namespace saddle
