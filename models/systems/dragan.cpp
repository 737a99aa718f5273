// DRAGAN: the non-saturating GAN with D's gradient held to norm 1 in a one-sided neighbourhood of the data
// (Kodali et al. 2017, equation 2, noise as in the authors' code). Convolutional for images, perceptrons for
// vectors.
#include "models/gan.h"

namespace saddle {
namespace {

struct Options : GanOptions {
  Options() {
    g = {.width = 64, .norm = "batch"};
    d = {.width = 64, .norm = "none"};
    objective.weight["dragan"] = 10;
  }
};

System build(const Options& options, const Schema& data, Context context) {
  return plain_gan(options, data, std::move(context));
}

SADDLE_SYSTEM(describe_gan<Options>, build, .name = "dragan",
              .about = "GAN with a gradient penalty around the data", .paper = "Kodali 2017",
              .modality = "images or points");

}  // namespace
}  // namespace saddle
