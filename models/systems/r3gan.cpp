// R3GAN: the relativistic pairing loss with R1 and R2 at every step, on residual nets without norm (Huang et
// al. 2024, equations 1 and 2). Images of 4x4, 8x8, 16x16, ... pixels, with labels if --set conditional=true.
#include "models/nets/r3gan.h"

#include "models/gan.h"

namespace saddle {
namespace {

struct Options : GanOptions {
  Options() {
    latent = 64;
    const Schedule cosine{.shape = "cosine", .final = 0.25};
    g_adam = d_adam = {.lr = 2e-4, .beta1 = 0, .beta2 = 0.9, .schedule = cosine, .beta2_final = 0.99};
    average = {.half_life = 500000, .schedule = cosine};
    objective.terms = {.shape = "cosine", .final = 0.1};
    objective.loss = "rpgan";
    objective.weight["r1"] = objective.weight["r2"] = 1;
  }
  int64_t width = 128, full = 4, blocks = 2, group = 16;
  bool conditional = false;
};

void describe(OptionTable& table, Options& options) {
  table.add("latent", options.latent, "size of z ~ N(0, I)", {1, 65536});
  table.add("ema.half_life", options.average.half_life,
            "of the averaged generator that samples are drawn from", {0, 1e12, "images"});
  describe(table, "ema", options.average.schedule);
  table.add("conditional", options.conditional, "on the labels of the data");
  {
    const OptionTable::Group group(table, "nets");
    table.add("width", options.width, "channels of both nets at 4x4 pixels (paper: 768)", {8, 65536});
    table.add("width.full", options.full, "stages of that width, from 4x4 up; then half as many each",
              {1, 16});
    table.add("width.group", options.group,
              "channels of a group of the 3x3 convolutions (paper: 16, ImageNet 32)", {1, 65536});
    table.add("blocks", options.blocks, "residual blocks a stage", {1, 64});
  }
  describe(table, options.objective);
  describe(table, "g", options.g_adam);
  describe(table, "d", options.d_adam);
}

System build(const Options& options, const Schema& data, Context context) {
  const auto shape = [options](const NetShape& net) {
    R3ganShape made = r3gan_shape(net.field, options.width, options.full, options.blocks, options.group);
    made.latent = net.latent;
    made.classes = net.classes;
    return made;
  };
  return plain_gan(options, data, std::move(context),
                   {.g = [=](Maker& make, const NetShape& net,
                             const NetOptions&) { return r3gan_generator(make, shape(net)); },
                    .d = [=](Maker& make, const NetShape& net,
                             const NetOptions&) { return r3gan_discriminator(make, shape(net)); },
                    .conditional = options.conditional});
}

SADDLE_SYSTEM(describe, build, .name = "r3gan", .about = "relativistic pairing with R1 and R2, residual nets",
              .paper = "Huang 2024", .modality = "images",
              .tiny = {"width=8", "width.full=1", "blocks=1", "latent=6"}, .idle = {".mean"});

}  // namespace
}  // namespace saddle
