// What the plain systems share: a generator against a discriminator over one field of the data, with or
// without labels.
#pragma once

#include "losses/adversarial.h"
#include "models/nets/nets.h"
#include "models/system.h"

namespace saddle {

struct GameOptions {
  int64_t latent = 100;
  double average = 0.999;
  NetOptions g, d;
};

// Keys latent, ema, g.width, g.depth, d.width, d.depth; with `norms`, also g.norm, d.norm (what it may
// be) and d.freeze; with "batch" among them, d.minibatch_std.
void describe(OptionTable& table, GameOptions& options, const std::vector<std::string>& d_norms = {});

// Both nets with Adam: the options of most systems.
struct AdamGameOptions : GameOptions {
  AdamOptions g_adam, d_adam;
};
void describe(OptionTable& table, AdamGameOptions& options, const std::vector<std::string>& d_norms = {});

using NetMaker = std::shared_ptr<Network> (*)(Maker&, const NetShape&, const NetOptions&);

struct GameNets {
  NetMaker g = generator_for, d = discriminator_for;
  bool conditional = false;  // on the data's field "label"
};

// The two nets "G" and "D", and where their inputs come from. Captured by value in losses.
struct Game {
  Net g, d;
  std::string field;  // the main one
  int64_t latent, classes;

  torch::Tensor real(const Step& step) const { return step.batch[field]; }
  torch::Tensor real_labels(const Step& step) const {
    return classes > 0 ? step.batch["label"] : torch::Tensor();
  }
  // Labels for samples: uniform over the classes, undefined if unconditional.
  torch::Tensor labels(Step& step) const { return classes > 0 ? step.labels(classes) : torch::Tensor(); }
  torch::Tensor fake(Step& step, const torch::Tensor& y) const { return g(step.latent(latent), y); }
  // D's half of `loss` on real samples and on fakes of the labels `y`. Reports D's mean outputs on both as
  // D/real and D/fake.
  torch::Tensor d_loss(Step& step, const AdversarialLoss& loss, const torch::Tensor& real,
                       const torch::Tensor& fake, const torch::Tensor& y = {}) const;
};

// What nets draw: the field "image", else "x", else the first that is no label. Exit::data if there is none,
// or one of integers or of variable length.
const Field& main_field(const Schema& data);

// Exit::data if a conditional game's data have no labels.
Game make_game(System& system, const GameOptions& options, const Schema& data, const GameNets& nets = {});
// The generator's average, and sampling from it. After make_game and the generator's player.
void sample_from(System& system, Game& game, Player& g, double average);

// The row "G": one step of `g` on the generator's half of `loss`. Add it after D's.
void generator_phase(System& system, const Game& game, Player& g, const AdversarialLoss& loss);

// The whole of a system with one D and one G step in turn, each with its half of `loss`.
System alternating_game(const AdamGameOptions& options, const Schema& data, Context context,
                        const AdversarialLoss& loss, const GameNets& nets = {});

}  // namespace saddle
