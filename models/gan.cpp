#include "models/gan.h"

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
  if (norms.empty()) return;
  table.add(prefix + ".net", net.net, "of images: DCGAN's, or the residual one of WGAN-GP",
            {"dcgan", "resnet"});
  table.add(prefix + ".norm", net.norm, "norm between convolutions", norms);
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

void describe_nets(OptionTable& table, GanOptions& options, bool convolutional) {
  table.add("latent", options.latent, "size of z ~ N(0, I)", {1, 65536});
  table.add("ema", options.average.decay, "decay of the averaged generator that samples are drawn from",
            {0, 0.999999});
  {
    const OptionTable::Group group(table, "nets");
    using Norms = std::vector<std::string>;
    describe(table, "g", options.g, convolutional ? Norms{"none", "batch", "instance"} : Norms{});
    describe(table, "d", options.d, convolutional ? Norms{"none", "batch", "instance", "spectral"} : Norms{});
    table.add("d.freeze", options.d.freeze,
              "lowest layers of d that keep the weights they start with, as of --init-from (Mo 2020)",
              {0, 64});
    if (convolutional)
      table.add("d.labels", options.d.labels,
                "of a conditional DCGAN's d: as maps beside the image, or by projection",
                {"maps", "projection"});
    if (convolutional)
      table.add("d.minibatch_std", options.d.minibatch_std,
                "samples in a group whose deviation a convolutional d sees; 0: none", {0, 65536});
  }
  describe(table, options.objective);
}

void describe(OptionTable& table, GanOptions& options, bool convolutional) {
  describe_nets(table, options, convolutional);
  describe(table, "g", options.g_adam);
  describe(table, "d", options.d_adam);
}

Adversary Gan::adversary() const {
  return {.name = d.name,
          .d = d,
          .real = [self = *this](Step& step) { return self.real(step); },
          .fake = [self = *this](Step& step) { return self.fake(step); },
          .conditional = classes > 0};
}

Net make_discriminator(System& system, const std::string& name, const GanOptions& options,
                       const Schema& data) {
  const NetShape shape{.field = Objective::seen_by_d(main_field(data), options.objective)};
  return system.net(name, [=](Maker& make) { return discriminator_for(make, shape, options.d); });
}

Net make_encoder(System& system, const GanOptions& options, const Schema& data) {
  const NetShape shape{.field = main_field(data), .outputs = options.latent};
  NetOptions net = options.d;
  net.minibatch_std = net.freeze = 0;
  return system.net("E", [=](Maker& make) { return discriminator_for(make, shape, net); });
}

Gan make_gan(System& system, const GanOptions& options, const Schema& data, const GanNets& nets) {
  const int64_t classes = nets.conditional ? label_classes(data) : 0;
  const Field& main = main_field(data);
  const NetShape shape{.field = main, .latent = options.latent, .classes = classes};
  NetShape seen = shape;
  seen.field = Objective::seen_by_d(main, options.objective);
  if (nets.conditional) system.given = {data["label"]};
  Gan gan{.g = system.net("G", [=](Maker& make) { return nets.g(make, shape, options.g); }),
          .d = system.net(nets.d_name, [=](Maker& make) { return nets.d(make, seen, options.d); }),
          .field = main.name,
          .latent = options.latent,
          .classes = classes};
  system.average(gan.g, options.average);
  system.sample = [gan](Sampling& s) {
    const torch::Tensor y = gan.classes > 0 ? s.given["label"] : torch::Tensor();
    Batch samples{{gan.field, s.run(gan.g, s.normal({gan.latent}), y)}};
    if (gan.classes > 0) samples.set("label", y);
    return samples;
  };
  return gan;
}

void play(System& system, const Gan& gan, Player& g, Player& d, const GanOptions& options,
          const std::function<int64_t(int64_t step)>& repeat) {
  const Objective objective(system, options.objective);
  const Adversary adversary = gan.adversary();
  objective.d_rows(system, d, {adversary}, "D", repeat);
  system.phase({.name = "G",
                .players = {&g},
                .loss = [=](Step& step) { return objective.g_loss(step, adversary, gan.fake(step)); },
                .fresh = objective.g_reads_real()});
}

System plain_gan(const GanOptions& options, const Schema& data, Context context, const GanNets& nets) {
  System system(std::move(context));
  const Gan gan = make_gan(system, options, data, nets);
  Player& g = system.player("g", {gan.g}, options.g_adam);
  Player& d = system.player("d", {gan.d}, options.d_adam);
  play(system, gan, g, d, options);
  return system;
}

}  // namespace saddle
