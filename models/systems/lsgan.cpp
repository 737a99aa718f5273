// Least-squares GAN: D's output is pulled to 1 on real and 0 on fake, G pulls it to 1 (Mao et al. 2017,
// equation 9); lsgan.a, lsgan.b and lsgan.c are other targets (equation 2). Convolutional for images,
// perceptrons for vectors.
#include "models/gan.h"

namespace saddle {
namespace {

struct Options : GanOptions {
  Options() {
    g = d = {.width = 64, .norm = "batch"};
    objective.loss = "lsgan";
  }
};

System build(const Options& options, const Schema& data, Context context) {
  return plain_gan(options, data, std::move(context));
}

SADDLE_SYSTEM(describe_gan<Options>, build, .name = "lsgan", .about = "least-squares GAN",
              .paper = "Mao 2017", .modality = "images or points");

}  // namespace
}  // namespace saddle
