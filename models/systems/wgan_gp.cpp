// Wasserstein GAN with gradient penalty (Gulrajani et al. 2017, algorithm 1). No batch norm in the critic:
// the penalty is per sample. Convolutional for images, perceptrons for vectors.
#include "models/gan.h"

namespace saddle {
namespace {

struct Options : GanOptions {
  Options() {
    g = {.width = 64, .norm = "batch"};
    d = {.width = 64, .norm = "none"};
    g_adam = d_adam = {.lr = 1e-4, .beta1 = 0, .beta2 = 0.9};
    objective.loss = "wasserstein";
    objective.weight["gp"] = 10;
    objective.n_critic = 5;
  }
};

System build(const Options& options, const Schema& data, Context context) {
  return plain_gan(options, data, std::move(context));
}

// The bias of the last layer cancels between real and fake; with beta1 = 0 Adam's mean is the last gradient.
SADDLE_SYSTEM(describe_gan<Options>, build, .name = "wgan-gp",
              .about = "Wasserstein GAN with gradient penalty", .paper = "Gulrajani 2017",
              .modality = "images or points", .idle = {"D.judge.bias", ".mean"});

}  // namespace
}  // namespace saddle
