// Conditional GAN: both nets see the label (Mirza and Osindero 2014, equation 2). Convolutional for images,
// perceptrons for vectors. Labels of samples are drawn uniformly over the classes.
#include "models/gan.h"

namespace saddle {
namespace {

struct Options : GanOptions {
  Options() { g = d = {.width = 64, .norm = "batch"}; }
};

System build(const Options& options, const Schema& data, Context context) {
  return plain_gan(options, data, std::move(context), {.conditional = true});
}

SADDLE_SYSTEM(describe_gan<Options>, build, .name = "cgan", .about = "conditional GAN, labelled data",
              .paper = "Mirza and Osindero 2014", .modality = "images or points");

}  // namespace
}  // namespace saddle
