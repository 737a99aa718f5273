// DRAGAN: the non-saturating GAN with D's gradient held to norm 1 in a one-sided neighbourhood of the data
// (Kodali et al. 2017, equation 2, noise as in the authors' code). Convolutional for images, perceptrons for
// vectors.
#include "losses/penalty.h"
#include "models/game.h"

namespace saddle {
namespace {

struct Options : AdamGameOptions {
  Options() {
    g = {.width = 64, .norm = "batch"};
    d = {.width = 64, .norm = "none"};
  }
  double penalty = 10;
};

void describe(OptionTable& table, Options& options) {
  saddle::describe(table, static_cast<AdamGameOptions&>(options), {"none", "instance"});
  table.add("penalty", options.penalty, "weight of the gradient penalty, the paper's lambda", {0, 1e6});
}

// Standard deviation over all elements of the global batch; ranks hold equal slices of it.
torch::Tensor global_std(const torch::Tensor& x, const Comm& comm) {
  const torch::Tensor sums =
      torch::stack({torch::full({}, static_cast<double>(x.numel()), x.options()), x.sum(), x.square().sum()});
  comm.all_reduce(sums, Reduce::sum, "standard deviation");
  const torch::Tensor mean = sums[1] / sums[0];
  return (sums[2] / sums[0] - mean.square()).clamp_min(0).sqrt();
}

System build(const Options& options, const Schema& data, Context context) {
  const Comm comm = context.comm;
  System system(std::move(context));
  Game game = make_game(system, options, data);
  Player& g = system.player("g", {game.g}, options.g_adam);
  Player& d = system.player("d", {game.d}, options.d_adam);
  sample_from(system, game, g, options.average);
  const AdversarialLoss& loss = adversarial_loss("non-saturating");
  system.phase({.name = "D", .player = &d, .loss = [=](Step& step) {
                  const torch::Tensor real = game.real(step), fake = game.fake(step, {});
                  const auto judge = [&](const torch::Tensor& x) { return game.d(x); };
                  const torch::Tensor noise = step.uniform(real.sizes().slice(1));
                  const torch::Tensor penalty = dragan(judge, real, noise, global_std(real, comm));
                  step.report("penalty", penalty);
                  return game.d_loss(step, loss, real, fake) + options.penalty * penalty;
                }});
  generator_phase(system, game, g, loss);
  return system;
}

SADDLE_SYSTEM("dragan", "GAN with a gradient penalty around the data (Kodali 2017)", describe, build);

}  // namespace
}  // namespace saddle
