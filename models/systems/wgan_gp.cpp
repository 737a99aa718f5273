// Wasserstein GAN with gradient penalty (Gulrajani et al. 2017, algorithm 1). No batch norm in the critic:
// the penalty is per sample. Convolutional for images, perceptrons for vectors.
#include "losses/penalty.h"
#include "models/game.h"

namespace saddle {
namespace {

struct Options : AdamGameOptions {
  Options() {
    g = {.width = 64, .norm = "batch"};
    d = {.width = 64, .norm = "none"};
    g_adam = d_adam = {.lr = 1e-4, .beta1 = 0, .beta2 = 0.9};
  }
  int64_t n_critic = 5;
  double penalty = 10;
};

void describe(OptionTable& table, Options& options) {
  saddle::describe(table, static_cast<AdamGameOptions&>(options), {"none", "instance"});
  table.add("n_critic", options.n_critic, "critic steps for one of the generator", {1, 1000});
  table.add("penalty", options.penalty, "weight of the gradient penalty, the paper's lambda", {0, 1e6});
}

System build(const Options& options, const Schema& data, Context context) {
  System system(std::move(context));
  Game game = make_game(system, options, data);
  Player& g = system.player("g", {game.g}, options.g_adam);
  Player& d = system.player("d", {game.d}, options.d_adam);
  sample_from(system, game, g, options.average);
  const AdversarialLoss& loss = adversarial_loss("wasserstein");
  system.phase({.name = "D",
                .player = &d,
                .loss =
                    [=](Step& step) {
                      const torch::Tensor real = game.real(step), fake = game.fake(step, {});
                      const auto critic = [&](const torch::Tensor& x) { return game.d(x); };
                      const torch::Tensor penalty = gradient_penalty(critic, real, fake, step.uniform());
                      step.report("penalty", penalty);
                      return loss.d(game.d(real), game.d(fake)) + options.penalty * penalty;
                    },
                .repeat = [n = options.n_critic](int64_t) { return n; }});
  generator_phase(system, game, g, loss);
  return system;
}

SADDLE_SYSTEM("wgan-gp", "Wasserstein GAN with gradient penalty (Gulrajani 2017)", describe, build);

}  // namespace
}  // namespace saddle
