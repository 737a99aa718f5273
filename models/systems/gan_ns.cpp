// The non-saturating GAN: G ascends log D(G(z)) (Goodfellow et al. 2014, section 3). Multilayer perceptrons.
// Any other pair of `saddle list losses` can take the place of its own.
#include "models/gan.h"

namespace saddle {
namespace {

struct Options : GanOptions {
  Options() { g = d = {.width = 128, .depth = 3}; }
};

System build(const Options& options, const Schema& data, Context context) {
  return plain_gan(options, data, std::move(context), {.g = mlp_generator, .d = mlp_discriminator});
}

SADDLE_SYSTEM((describe_gan<Options, /*convolutional=*/false>), build, .name = "gan-ns",
              .about = "the non-saturating GAN, perceptrons", .paper = "Goodfellow 2014",
              .modality = "images or points");

}  // namespace
}  // namespace saddle
