#include "models/gan.h"

namespace saddle {
namespace {

System build(const GanOptions& o, const Schema& data, Context context) {
  System system(std::move(context));
  const Gan gan = make_gan(system, o, data);          // nets G and D that fit the data, an average of G
  Player& g = system.player("g", {gan.g}, o.g_adam);  // who learns, and how
  Player& d = system.player("d", {gan.d}, o.d_adam);
  const Objective objective(system, o.objective);  // losses, terms and techniques, chosen by --set
  const Adversary adversary = gan.adversary();     // D, what is real to it and what is fake
  objective.d_rows(system, d, {adversary});
  system.phase({.name = "G", .players = {&g}, .loss = [=](Step& step) {
                  const Input fake = gan.fake(step);
                  return objective.g_loss(step, adversary, fake) + 0.1 * fake.x.square().mean();
                }});
  return system;
}

SADDLE_SYSTEM(describe_gan<>, build, .name = "my-gan", .about = "small outputs", .paper = "none",
              .modality = "images or points");

}  // namespace
}  // namespace saddle
