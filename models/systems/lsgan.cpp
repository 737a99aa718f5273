// Least-squares GAN: D's output is pulled to 1 on real and 0 on fake, G pulls it to 1 (Mao et al. 2017,
// equation 9). Convolutional for images, perceptrons for vectors.
#include "models/game.h"

namespace saddle {
namespace {

struct Options : AdamGameOptions {
  Options() { g = d = {.width = 64, .norm = "batch"}; }
};

void describe(OptionTable& table, Options& options) {
  saddle::describe(table, static_cast<AdamGameOptions&>(options), {"none", "batch", "instance"});
}

System build(const Options& options, const Schema& data, Context context) {
  return alternating_game(options, data, std::move(context), adversarial_loss("lsgan"));
}

SADDLE_SYSTEM("lsgan", "least-squares GAN (Mao 2017)", describe, build);

}  // namespace
}  // namespace saddle
