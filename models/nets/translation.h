// Nets that make images of images: the residual generator and the patch discriminator of CycleGAN and pix2pix
// (Zhu et al. 2017, section 7.2; Johnson et al. 2016; Isola et al. 2017, section 6.1), as the authors' code
// has them.
#pragma once

#include "models/module.h"

namespace saddle {

struct TranslationShape {
  int64_t in = 3, out = 3;        // channels
  int64_t width = 64;             // channels at full resolution
  std::string norm = "instance";  // instance (no learned scale), batch, none
};

// [B, in, H, W] -> [B, out, H, W] in [-1, 1]: `halvings` strided convolutions, `blocks` residual blocks, as
// many transposed ones; reflected borders. H and W divide by 2^halvings.
std::shared_ptr<Network> resnet_generator(Maker& make, const TranslationShape& shape, int64_t blocks = 9,
                                          int64_t halvings = 2);
// [B, in, H, W] -> [B, 1, H', W']: a score for each patch; with three layers, of 70x70 pixels.
std::shared_ptr<Network> patch_discriminator(Maker& make, const TranslationShape& shape, int64_t layers = 3);

}  // namespace saddle
