// MDGAN, the manifold-diffusion GAN (Che et al. 2017, section 3.2). A manifold step fits G(E(x)) to the data,
// a diffusion step spreads G(z) over that manifold:
//   D1: x against G(E(x));        G, E: |x - G(E(x))|^2 + lambda times the adversarial loss of G(E(x))
//   D2: G(E(x)) against G(z);     G: the adversarial loss of G(z)
#include "models/gan.h"

namespace saddle {
namespace {

struct Options : GanOptions {
  Options() { g = d = {.width = 128, .norm = "batch"}; }
  double lambda = 0.01;
};

void describe(OptionTable& table, Options& options) {
  saddle::describe(table, options);
  table.add("lambda", options.lambda, "weight of the adversarial loss in the manifold step", {0, 1e6});
}

System build(const Options& options, const Schema& data, Context context) {
  System system(std::move(context));
  const Gan gan = make_gan(system, options, data, {.d_name = "D1"});
  const Net d2 = make_discriminator(system, "D2", options, data), e = make_encoder(system, options, data);
  Player& g = system.player("g", {gan.g}, options.g_adam);
  Player& encoder = system.player("e", {e}, options.g_adam);
  Player& manifold = system.player("d1", {gan.d}, options.d_adam);
  Player& diffusion = system.player("d2", {d2}, options.d_adam);
  const Objective objective(system, options.objective);
  const auto back = [=](Step& step) { return Input{gan.g({e({gan.real(step).x}), {}, &step})}; };
  const auto real = [=](Step& step) { return gan.real(step); };
  const auto fake = [=](Step& step) { return gan.fake(step); };
  const Adversary first{.name = "D1", .d = gan.d, .real = real, .fake = back},
      second{.name = "D2", .d = d2, .real = back, .fake = fake};
  objective.d_rows(system, manifold, {first}, "D1");
  system.phase({.name = "manifold", .players = {&g, &encoder}, .loss = [=](Step& step) {
                  const Input again = back(step);
                  const torch::Tensor error = (gan.real(step).x - again.x).square().flatten(1).sum(1).mean();
                  step.report("G/reconstruction", error.detach());
                  return error + options.lambda * objective.g_loss(step, first, again);
                }});
  objective.d_rows(system, diffusion, {second}, "D2");
  system.phase({.name = "G", .players = {&g}, .loss = [=](Step& step) {
                  return objective.g_loss(step, second, fake(step));
                }});
  return system;
}

SADDLE_SYSTEM(describe, build, .name = "mdgan",
              .about = "manifold-diffusion GAN: fit the data, then spread over them", .paper = "Che 2017",
              .modality = "images or points");

}  // namespace
}  // namespace saddle
