#include "models/game.h"

#include <algorithm>

#include "dist/error.h"

namespace saddle {
namespace {

int64_t label_classes(const Schema& data) {
  require(data.has("label"), Exit::data,
          "a conditional system needs data with labels, this has {}: pack a folder with one "
          "sub-folder a class, or IDX with labels",
          describe(data));
  return data["label"].classes;
}

void describe(OptionTable& table, const std::string& prefix, NetOptions& net,
              const std::vector<std::string>& norms) {
  table.add(prefix + ".width", net.width, "channels at full resolution, or hidden units", {1, 65536});
  table.add(prefix + ".depth", net.depth, "halvings of an image, or hidden layers; 0: by the data", {0, 64});
  if (!norms.empty()) table.add(prefix + ".norm", net.norm, "norm between convolutions", norms);
}

}  // namespace

const Field& main_field(const Schema& data) {
  const auto is_label = [](const Field& field) {
    return field.name == "label" || (field.classes > 0 && field.shape.empty());
  };
  const auto& fields = data.fields;
  auto main = std::find_if_not(fields.begin(), fields.end(), is_label);
  for (const char* name : {"x", "image"}) {
    const auto named =
        std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.name == name; });
    if (named != fields.end()) main = named;
  }
  require(main != fields.end(), Exit::data,
          "expected pictures or numbers to train on, found only labels: {}; pack them with what they label",
          describe(data));
  const bool pixels = main->dtype == torch::kByte || main->dtype == torch::kUInt16;
  require((pixels || torch::isFloatingType(main->dtype)) && !main->variable && !main->shape.empty(),
          Exit::data,
          "no net here draws the field {} of {}: expected pictures or floating-point numbers of one size",
          main->name, describe(data));
  return *main;
}

void describe(OptionTable& table, GameOptions& options, const std::vector<std::string>& d_norms) {
  table.add("latent", options.latent, "size of z ~ N(0, I)", {1, 65536});
  table.add("ema", options.average, "decay of the averaged generator that samples are drawn from",
            {0, 0.999999});
  const OptionTable::Group group(table, "nets");
  describe(table, "g", options.g,
           d_norms.empty() ? d_norms : std::vector<std::string>{"none", "batch", "instance"});
  describe(table, "d", options.d, d_norms);
  if (!d_norms.empty())
    table.add("d.freeze", options.d.freeze,
              "lowest layers of d that keep the weights they start with, as of --init-from (Mo 2020)",
              {0, 64});
  // Like batch norm it ties samples together, which a penalty on each sample's gradient rules out.
  if (std::find(d_norms.begin(), d_norms.end(), "batch") != d_norms.end())
    table.add("d.minibatch_std", options.d.minibatch_std,
              "samples in a group whose deviation a convolutional d sees; 0: none", {0, 65536});
}

void describe(OptionTable& table, AdamGameOptions& options, const std::vector<std::string>& d_norms) {
  describe(table, static_cast<GameOptions&>(options), d_norms);
  describe(table, "g", options.g_adam);
  describe(table, "d", options.d_adam);
}

torch::Tensor Game::d_loss(Step& step, const AdversarialLoss& loss, const torch::Tensor& real,
                           const torch::Tensor& fake, const torch::Tensor& y) const {
  // In this order D's running statistics take in the batches.
  const torch::Tensor of_fake = d(fake, y), of_real = d(real, real_labels(step));
  // What is not finite shows in the loss; a skipped step's must not spoil the mean of others.
  step.report("D/real", of_real.detach().nan_to_num(0, 0, 0));
  step.report("D/fake", of_fake.detach().nan_to_num(0, 0, 0));
  return loss.d(of_real, of_fake);
}

Game make_game(System& system, const GameOptions& options, const Schema& data, const GameNets& nets) {
  const int64_t classes = nets.conditional ? label_classes(data) : 0;
  const Field& main = main_field(data);
  const std::string field = main.name;
  const NetShape shape{.field = main, .latent = options.latent, .classes = classes};
  system.classes = classes;
  return {.g = system.net("G", [=](Maker& make) { return nets.g(make, shape, options.g); }),
          .d = system.net("D", [=](Maker& make) { return nets.d(make, shape, options.d); }),
          .field = field,
          .latent = options.latent,
          .classes = classes};
}

void sample_from(System& system, Game& game, Player& g, double average) {
  system.average(game.g, g, average);
  system.sample = [game](Sampling& s) {
    Batch samples{{game.field, s.run(game.g, s.latent(game.latent))}};
    if (game.classes > 0) samples.set("label", s.y);
    return samples;
  };
}

void generator_phase(System& system, const Game& game, Player& g, const AdversarialLoss& loss) {
  system.phase({.name = "G", .player = &g, .loss = [=](Step& step) {
                  const torch::Tensor y = game.labels(step);
                  return loss.g(game.d(game.fake(step, y), y));
                }});
}

System alternating_game(const AdamGameOptions& options, const Schema& data, Context context,
                        const AdversarialLoss& loss, const GameNets& nets) {
  System system(std::move(context));
  Game game = make_game(system, options, data, nets);
  Player& g = system.player("g", {game.g}, options.g_adam);
  Player& d = system.player("d", {game.d}, options.d_adam);
  sample_from(system, game, g, options.average);
  system.phase({.name = "D", .player = &d, .loss = [=](Step& step) {
                  const torch::Tensor y = game.labels(step);
                  return game.d_loss(step, loss, game.real(step), game.fake(step, y), y);
                }});
  generator_phase(system, game, g, loss);
  return system;
}

}  // namespace saddle
