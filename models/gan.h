// What the plain systems share: a generator against a discriminator over one field of the data, with or
// without labels. A system of this kind is its options and one call:
//   System build(const GanOptions& options, const Schema& data, Context context) {
//     return plain_gan(options, data, std::move(context));
//   }
//   SADDLE_SYSTEM(describe_gan<>, build, .name = "mine", .about = "...", .paper = "...", .modality = "images");
#pragma once

#include "models/nets/nets.h"
#include "models/objective.h"

namespace saddle {

using NetMaker = std::function<std::shared_ptr<Network>(Maker&, const NetShape&, const NetOptions&)>;

struct GanOptions {
  int64_t latent = 100;
  Shadow average;
  NetOptions g, d;
  AdamOptions g_adam, d_adam;
  ObjectiveOptions objective;
};

// Keys latent, ema, g.width, g.depth, d.width, d.depth, d.freeze; of convolutional nets g.norm,
// d.norm and d.minibatch_std; the objective's; g.lr, ... of Adam.
void describe(OptionTable& table, GanOptions& options, bool convolutional = true);
// The same without Adam's, for a system with another optimizer.
void describe_nets(OptionTable& table, GanOptions& options, bool convolutional = true);

// For SADDLE_SYSTEM, of a system with these options and no more.
template <class Options = GanOptions, bool convolutional = true>
void describe_gan(OptionTable& table, Options& options) {
  describe(table, static_cast<GanOptions&>(options), convolutional);
}

struct GanNets {
  NetMaker g = generator_for, d = discriminator_for;
  bool conditional = false;  // on the data's field "label"
  std::string d_name = "D";
};

// The two nets "G" and "D", where their inputs come from, and how samples are drawn: from G's average.
// Captured by value in losses.
struct Gan {
  Net g, d;
  std::string field;  // the main one
  int64_t latent, classes;

  torch::Tensor labels(Step& step) const { return classes > 0 ? step.integers(classes) : torch::Tensor(); }
  Input real(Step& step) const {
    return {step.batch[field], classes > 0 ? step.batch["label"] : torch::Tensor()};
  }
  // Of labels that are uniform over the classes.
  Input fake(Step& step) const {
    const torch::Tensor y = labels(step);
    return {g({step.normal({latent}), y, &step}), y};
  }
  Adversary adversary() const;
};

// What nets draw: the field "image", else "x", else the first that is no label. Exit::data if there is none,
// or one of integers or of variable length.
const Field& main_field(const Schema& data);

// Another discriminator of the main field, and an encoder "E" of it into latents: D's trunk with an output a
// latent.
Net make_discriminator(System& system, const std::string& name, const GanOptions& options,
                       const Schema& data);
Net make_encoder(System& system, const GanOptions& options, const Schema& data);

// Exit::data if a conditional system's data have no labels.
Gan make_gan(System& system, const GanOptions& options, const Schema& data, const GanNets& nets = {});

// The rows: D's (Objective::d_rows), then "G".
void play(System& system, const Gan& gan, Player& g, Player& d, const GanOptions& options,
          const std::function<int64_t(int64_t step)>& repeat = {});

// All of it, with Adam.
System plain_gan(const GanOptions& options, const Schema& data, Context context, const GanNets& nets = {});

}  // namespace saddle
