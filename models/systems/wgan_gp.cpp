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
  int64_t penalty_every = 1;
};

void describe(OptionTable& table, Options& options) {
  saddle::describe(table, static_cast<AdamGameOptions&>(options), {"none", "instance"});
  table.add("n_critic", options.n_critic, "critic steps for one of the generator", {1, 1000});
  table.add("penalty", options.penalty, "weight of the gradient penalty, the paper's lambda", {0, 1e6});
  table.add(
      "penalty_every", options.penalty_every,
      "1: the penalty is part of each critic step; more: a critic step of its own, so often (Karras 2020, "
      "lazy regularisation)",
      {1, 1e6, "steps"});
}

System build(const Options& options, const Schema& data, Context context) {
  System system(std::move(context));
  Game game = make_game(system, options, data);
  Player& g = system.player("g", {game.g}, options.g_adam);
  Player& d = system.player("d", {game.d}, options.d_adam);
  sample_from(system, game, g, options.average);
  const AdversarialLoss& loss = adversarial_loss("wasserstein");
  const auto penalty = [=](Step& step, const torch::Tensor& real, const torch::Tensor& fake) {
    const auto critic = [&](const torch::Tensor& x) { return game.d(x); };
    const torch::Tensor value = gradient_penalty(critic, real, fake, step.uniform());
    step.report("penalty", value);
    return options.penalty * value;
  };
  const bool lazy = options.penalty_every > 1;
  system.phase({.name = "D",
                .player = &d,
                .loss =
                    [=](Step& step) {
                      const torch::Tensor real = game.real(step), fake = game.fake(step, {});
                      const torch::Tensor distance = game.d_loss(step, loss, real, fake);
                      return lazy ? distance : distance + penalty(step, real, fake);
                    },
                .repeat = [n = options.n_critic](int64_t) { return n; }});
  if (lazy)
    system.phase({.name = "GP",
                  .player = &d,
                  .loss = [=](Step& step) { return penalty(step, game.real(step), game.fake(step, {})); },
                  .every = options.penalty_every});
  generator_phase(system, game, g, loss);
  return system;
}

SADDLE_SYSTEM("wgan-gp", "Wasserstein GAN with gradient penalty (Gulrajani 2017)", describe, build);

}  // namespace
}  // namespace saddle
