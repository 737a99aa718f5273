// Conditional GAN: both nets see the label (Mirza and Osindero 2014, equation 2). Convolutional for images,
// perceptrons for vectors. Labels of samples are drawn uniformly over the classes.
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
  return alternating_game(options, data, std::move(context), adversarial_loss("non-saturating"),
                          {.conditional = true});
}

SADDLE_SYSTEM("cgan", "conditional GAN, labelled data (Mirza and Osindero 2014)", describe, build);

}  // namespace
}  // namespace saddle
