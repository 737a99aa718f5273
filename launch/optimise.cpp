#include "launch/optimise.h"

#include "dist/flight.h"

namespace saddle {
namespace {

// The gradient's norm is reported, and makes both decisions: to clip, and to skip.
Rescale rescale(Player& player, const StepRule& rule, const std::string& phase, Stats& stats) {
  const bool skip = rule.skip || player.loss_scale;
  torch::Tensor norm = player.replica.gradients().norm();
  Rescale made;
  if (player.loss_scale) {
    made.divisor = player.loss_scale->value().clone();
    norm = norm / made.divisor.squeeze();
  }
  stats.report("gradient/" + phase, norm.nan_to_num(0, 0, 0));
  norm = norm.to(torch::kFloat).reshape({1});
  if (skip) {
    made.skip = norm.isfinite().logical_not().to(torch::kFloat);
    stats.report("skipped/" + phase, made.skip);
    if (player.loss_scale) player.loss_scale->update(made.skip);
  }
  if (!made.divisor.defined() && (skip || rule.clip > 0)) made.divisor = torch::ones_like(norm);
  if (rule.clip > 0) made.divisor = made.divisor * (norm / rule.clip).clamp_min(1);
  return made;
}

// Where a step may be skipped, its loss must not spoil the tick's mean.
torch::Tensor reported(const torch::Tensor& loss, bool skip) {
  return skip ? loss.detach().nan_to_num(0, 0, 0) : loss;
}

}  // namespace

void descend(System& system, const Phase& phase, Step& step, const std::vector<Part>& parts,
             const StepRule& rule) {
  Player& player = *phase.player;
  system.only(player);
  player.replica.zero_grad();
  const int64_t calls = step.calls();
  for (size_t i = 0; i < parts.size(); ++i) {
    step.rewind(parts[i].samples, calls);
    step.batch = parts[i].batch;
    torch::Tensor loss;
    {
      const flight::Doing doing(phase.name + " forward");
      loss = phase.loss(step);
      step.report("loss/" + phase.name, reported(loss, rule.skip || player.loss_scale));
      // Ranks and parts add their gradients up: the share makes the sum that of the global mean.
      loss = loss * (static_cast<double>(phase.every) * parts[i].share);
      if (player.loss_scale) loss = loss * player.loss_scale->value();
    }
    const flight::Doing doing(phase.name + " backward");
    if (i + 1 == parts.size()) player.replica.arm();
    loss.sum().backward();
  }
  {
    const flight::Doing doing(phase.name + " wait");
    player.replica.finish();
  }
  const flight::Doing doing(phase.name + " optimizer");
  at::NoGradGuard no_grad;
  player.optimizer->step(player.replica.weights(), player.replica.gradients(),
                         rescale(player, rule, phase.name, step.stats));
}

void follow(const Phase& phase) {
  const flight::Doing doing(phase.name + " optimizer");
  at::NoGradGuard no_grad;
  for (const auto& action : phase.player->after_step) action();
}

void optimise(System& system, const Phase& phase, Step& step, const std::vector<Part>& parts,
              const StepRule& rule) {
  descend(system, phase, step, parts, rule);
  follow(phase);
}

}  // namespace saddle
