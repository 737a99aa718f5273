// The original GAN: the minimax loss, in which G descends what D ascends (Goodfellow et al. 2014, equation
// 1). Multilayer perceptrons. G's gradient vanishes where D is sure; `gan-ns` is the remedy of the same
// paper.
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
  return alternating_game(options, data, std::move(context), adversarial_loss("minimax"),
                          {.g = mlp_generator, .d = mlp_discriminator});
}

SADDLE_SYSTEM("gan", "the original minimax GAN, perceptrons (Goodfellow 2014)", describe, build);

}  // namespace
}  // namespace saddle
