// Wasserstein GAN: a critic without a sigmoid, kept Lipschitz by clipping its weights after each of its steps
// (Arjovsky et al. 2017, algorithm 1). RMSProp. Convolutional for images, perceptrons for vectors.
#include "models/gan.h"

namespace saddle {
namespace {

struct Options : GanOptions {
  Options() {
    g = d = {.width = 64, .norm = "batch"};
    objective.loss = "wasserstein";
    objective.weight["d.clip"] = 0.01;
    objective.n_critic = 5;
  }
  RmsPropOptions g_rmsprop, d_rmsprop;
  int64_t warmup = 0;
};

void describe(OptionTable& table, Options& options) {
  describe_nets(table, options);
  describe(table, "g", options.g_rmsprop);
  describe(table, "d", options.d_rmsprop);
  table.add("warmup", options.warmup,
            "first generator steps with 100 critic steps, as every 500th; 0: none (code: 25)",
            {0, 1e9, "steps"});
}

System build(const Options& options, const Schema& data, Context context) {
  System system(std::move(context));
  const Gan gan = make_gan(system, options, data);
  Player& g = system.player("g", {gan.g}, options.g_rmsprop);
  Player& d = system.player("d", {gan.d}, options.d_rmsprop);
  play(system, gan, g, d, options, [warmup = options.warmup, n = options.objective.n_critic](int64_t step) {
    return warmup > 0 && (step < warmup || step % 500 == 0) ? 100 : n;
  });
  return system;
}

// The bias of the last layer cancels between real and fake.
SADDLE_SYSTEM(describe, build, .name = "wgan", .about = "Wasserstein GAN with clipped weights",
              .paper = "Arjovsky 2017", .modality = "images or points", .idle = {"D.judge.bias"});

}  // namespace
}  // namespace saddle
