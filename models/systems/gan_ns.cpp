// The non-saturating GAN: G ascends log D(G(z)) (Goodfellow et al. 2014, section 3). Multilayer perceptrons.
#include "models/game.h"

namespace saddle {
namespace {

struct Options : AdamGameOptions {
  Options() { g = d = {.width = 128, .depth = 3}; }
};

void describe(OptionTable& table, Options& options) {
  saddle::describe(table, static_cast<AdamGameOptions&>(options));
}

System build(const Options& options, const Schema& data, Context context) {
  return alternating_game(options, data, std::move(context), adversarial_loss("non-saturating"),
                          {.g = mlp_generator, .d = mlp_discriminator});
}

SADDLE_SYSTEM("gan-ns", "the non-saturating GAN, perceptrons (Goodfellow 2014)", describe, build);

}  // namespace
}  // namespace saddle
