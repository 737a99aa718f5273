// Wasserstein GAN: a critic without a sigmoid, kept Lipschitz by clipping its weights after each of its steps
// (Arjovsky et al. 2017, algorithm 1). RMSProp. Convolutional for images, perceptrons for vectors.
#include "models/game.h"

namespace saddle {
namespace {

struct Options : GameOptions {
  Options() { g = d = {.width = 64, .norm = "batch"}; }
  RmsPropOptions g_rmsprop, d_rmsprop;
  int64_t n_critic = 5;
  double clip = 0.01;
  int64_t warmup = 0;
};

void describe(OptionTable& table, Options& options) {
  saddle::describe(table, static_cast<GameOptions&>(options), {"none", "batch", "instance"});
  describe(table, "g", options.g_rmsprop);
  describe(table, "d", options.d_rmsprop);
  table.add("n_critic", options.n_critic, "critic steps for one of the generator", {1, 1000});
  table.add("d.clip", options.clip, "bound of the critic's weights", {1e-6, 100});
  table.add("warmup", options.warmup,
            "first generator steps with 100 critic steps, as every 500th; 0: none (code: 25)",
            {0, 1e9, "steps"});
}

System build(const Options& options, const Schema& data, Context context) {
  System system(std::move(context));
  Game game = make_game(system, options, data);
  Player& g = system.player("g", {game.g}, options.g_rmsprop);
  Player& d = system.player("d", {game.d}, options.d_rmsprop);
  d.after_step.push_back([&d, clip = options.clip] { d.replica.weights().clamp_(-clip, clip); });
  sample_from(system, game, g, options.average);
  const auto critic_steps = [options](int64_t step) {
    return options.warmup > 0 && (step < options.warmup || step % 500 == 0) ? 100 : options.n_critic;
  };
  const AdversarialLoss& loss = adversarial_loss("wasserstein");
  system.phase(
      {.name = "D",
       .player = &d,
       .loss = [=](Step& step) { return game.d_loss(step, loss, game.real(step), game.fake(step, {})); },
       .repeat = critic_steps});
  generator_phase(system, game, g, loss);
  return system;
}

SADDLE_SYSTEM("wgan", "Wasserstein GAN with clipped weights (Arjovsky 2017)", describe, build);

}  // namespace
}  // namespace saddle
