// Mode-regularised GAN (Che et al. 2017, section 3.1): an encoder E sends data to latents, and G learns to
// give them back and to fool D with them, so that it visits modes that D's gradient at G(z) does not reach:
//   G, E: adversarial loss of G(z) + lambda1 |x - G(E(x))|^2 + lambda2 adversarial loss of G(E(x))
// The paper's "+ lambda2 log D(G(E(x)))" is an ascent; in a loss that is minimised its sign is the other one.
#include "models/gan.h"

namespace saddle {
namespace {

struct Options : GanOptions {
  Options() { g = d = {.width = 128, .norm = "batch"}; }
  double lambda1 = 0.2, lambda2 = 0.4;
};

void describe(OptionTable& table, Options& options) {
  saddle::describe(table, options);
  table.add("lambda1", options.lambda1,
            "weight of the reconstruction's squared error, summed over its numbers", {0, 1e6});
  table.add("lambda2", options.lambda2, "weight of the reconstruction's adversarial loss", {0, 1e6});
}

System build(const Options& options, const Schema& data, Context context) {
  System system(std::move(context));
  const Gan gan = make_gan(system, options, data);
  const Net e = make_encoder(system, options, data);
  Player& g = system.player("g", {gan.g}, options.g_adam);
  Player& encoder = system.player("e", {e}, options.g_adam);
  Player& d = system.player("d", {gan.d}, options.d_adam);
  const Objective objective(system, options.objective);
  const Adversary adversary = gan.adversary();
  objective.d_rows(system, d, {adversary}, "D");
  system.phase({.name = "G", .players = {&g, &encoder}, .loss = [=](Step& step) {
                  const torch::Tensor x = gan.real(step).x, back = gan.g({e({x}), {}, &step});
                  const torch::Tensor error = (x - back).square().flatten(1).sum(1).mean();
                  step.report("G/reconstruction", error.detach());
                  return objective.g_loss(step, adversary, gan.fake(step)) + options.lambda1 * error +
                         options.lambda2 * objective.g_loss(step, adversary, {back});
                }});
  return system;
}

SADDLE_SYSTEM(describe, build, .name = "reg-gan",
              .about = "mode-regularised GAN: an encoder shows G every mode", .paper = "Che 2017",
              .modality = "images or points");

}  // namespace
}  // namespace saddle
