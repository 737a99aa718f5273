// DCGAN: convolutional nets with batch norm (Radford et al. 2016). The paper's loss is the non-saturating
// one; any other pair of `saddle list losses` can take its place.
#include "models/game.h"

namespace saddle {
namespace {

struct Options : AdamGameOptions {
  Options() { g = d = {.width = 64, .norm = "batch"}; }
  std::string loss = "non-saturating";
};

void describe(OptionTable& table, Options& options) {
  saddle::describe(table, static_cast<AdamGameOptions&>(options), {"none", "batch", "instance", "spectral"});
  std::vector<std::string> names;
  for (const AdversarialLoss& loss : adversarial_losses()) names.push_back(loss.name);
  table.add("loss", options.loss, "pair of losses", names);
}

System build(const Options& options, const Schema& data, Context context) {
  return alternating_game(options, data, std::move(context), adversarial_loss(options.loss),
                          {.g = conv_generator, .d = conv_discriminator});
}

SADDLE_SYSTEM("dcgan", "convolutional GAN with batch norm, images (Radford 2016)", describe, build);

}  // namespace
}  // namespace saddle
