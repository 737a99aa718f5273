// The original GAN: the minimax loss, in which G descends what D ascends (Goodfellow et al. 2014, equation
// 1). Multilayer perceptrons. G's gradient vanishes where D is sure; `gan-ns` is the remedy of the same
// paper.
#include "models/gan.h"

namespace saddle {
namespace {

struct Options : GanOptions {
  Options() {
    g = d = {.width = 128, .depth = 3};
    objective.loss = "minimax";
  }
};

System build(const Options& options, const Schema& data, Context context) {
  return plain_gan(options, data, std::move(context), {.g = mlp_generator, .d = mlp_discriminator});
}

SADDLE_SYSTEM((describe_gan<Options, /*convolutional=*/false>), build, .name = "gan",
              .about = "the original minimax GAN, perceptrons", .paper = "Goodfellow 2014",
              .modality = "images or points");

}  // namespace
}  // namespace saddle
