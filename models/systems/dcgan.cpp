// DCGAN: convolutional nets with batch norm (Radford et al. 2016). The paper's loss is the non-saturating
// one; any other pair of `saddle list losses` can take its place.
#include "models/gan.h"

namespace saddle {
namespace {

struct Options : GanOptions {
  Options() { g = d = {.width = 64, .norm = "batch"}; }
};

// Images only: of others the convolutional nets say what they need.
std::shared_ptr<Network> generator(Maker& make, const NetShape& shape, const NetOptions& options) {
  return (options.net == "resnet" ? generator_for : conv_generator)(make, shape, options);
}

std::shared_ptr<Network> discriminator(Maker& make, const NetShape& shape, const NetOptions& options) {
  return (options.net == "resnet" ? discriminator_for : conv_discriminator)(make, shape, options);
}

System build(const Options& options, const Schema& data, Context context) {
  return plain_gan(options, data, std::move(context), {.g = generator, .d = discriminator});
}

SADDLE_SYSTEM(describe_gan<Options>, build, .name = "dcgan", .about = "convolutional GAN with batch norm",
              .paper = "Radford 2016", .modality = "images");

}  // namespace
}  // namespace saddle
