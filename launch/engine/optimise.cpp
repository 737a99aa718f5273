#include "launch/engine/optimise.h"

#include <ATen/ops/maximum.h>

#include "dist/flight.h"

namespace saddle {
namespace {

// The gradient's norm is reported, and makes both decisions: to clip, and to skip.
// All players of a phase step, or none does; the gradient that is clipped is that of all of them.
Rescale rescale(const Phase& phase, const StepRule& rule, Stats& stats) {
  std::optional<LossScale>& loss_scale = phase.players.front()->loss_scale;
  const bool skip = rule.skip || loss_scale;
  torch::Tensor norm = phase.players.front()->replica.gradients().norm();
  for (size_t i = 1; i < phase.players.size(); ++i)
    norm = torch::stack({norm, phase.players[i]->replica.gradients().norm()}).norm();
  Rescale made;
  if (loss_scale) {
    made.divisor = loss_scale->value().clone();
    norm = norm / made.divisor.squeeze();
  }
  stats.report("gradient/" + phase.name, norm.nan_to_num(0, 0, 0));
  norm = norm.to(torch::kFloat).reshape({1});
  if (skip) {
    made.skip = norm.isfinite().logical_not().to(torch::kFloat);
    stats.report("skipped/" + phase.name, made.skip);
    if (loss_scale) loss_scale->update(made.skip);
  }
  if (phase.skip) {
    const torch::Tensor wanted = phase.skip().to(torch::kFloat).reshape({1});
    made.skip = made.skip.defined() ? torch::maximum(made.skip, wanted) : wanted;
  }
  if (!made.divisor.defined() && (made.skip.defined() || rule.clip > 0))
    made.divisor = torch::ones_like(norm);
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
  std::optional<LossScale>& loss_scale = phase.players.front()->loss_scale;
  system.only(phase.players);
  for (Player* player : phase.players) player->replica.zero_grad();
  const int64_t calls = step.calls();
  for (size_t i = 0; i < parts.size(); ++i) {
    step.rewind(parts[i].samples, calls);
    step.batch = parts[i].batch;
    torch::Tensor loss;
    {
      const flight::Doing doing(phase.name + " forward");
      loss = phase.loss(step);
      step.report("loss/" + phase.name, reported(loss, rule.skip || loss_scale));
      // Ranks and parts add their gradients up: the share makes the sum that of the global mean.
      loss = loss * (phase.weight * parts[i].share);
      if (loss_scale) loss = loss * loss_scale->value();
    }
    const flight::Doing doing(phase.name + " backward");
    if (i + 1 == parts.size())
      for (Player* player : phase.players) player->replica.arm();
    loss.sum().backward();
  }
  {
    const flight::Doing doing(phase.name + " wait");
    for (Player* player : phase.players) player->replica.finish();
  }
  const flight::Doing doing(phase.name + " optimizer");
  at::NoGradGuard no_grad;
  const Rescale how = rescale(phase, rule, step.stats);
  for (Player* player : phase.players)
    player->optimizer->step(player->replica.weights(), player->replica.gradients(), how);
}

void follow(const Phase& phase, Step& step) {
  const flight::Doing doing(phase.name + " work");
  at::NoGradGuard no_grad;
  if (phase.loss)
    for (Player* player : phase.players)
      for (const auto& action : player->after_step) action();
  if (phase.work) phase.work(step);
}

void optimise(System& system, const Phase& phase, Step& step, const std::vector<Part>& parts,
              const StepRule& rule) {
  if (phase.loss) descend(system, phase, step, parts, rule);
  follow(phase, step);
}

}  // namespace saddle
