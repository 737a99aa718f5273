#include "launch/trainer.h"

#include "dist/error.h"
#include "dist/flight.h"

namespace saddle {
namespace {

LoaderOptions loader_options(const Run& run, const Comm& comm) {
  const TrainOptions& o = run.options;
  require(o.batch % o.accumulate == 0, Exit::usage,
          "a batch of {} does not divide into {} parts: choose --set batch or --set accumulate accordingly",
          o.batch, o.accumulate);
  return {.batch = o.batch / o.accumulate,
          .rank = comm.rank(),
          .size = comm.size(),
          .seed = static_cast<uint64_t>(o.seed),
          .threads = static_cast<int>(o.loader_threads),
          .device = comm.device(),
          .dtype = run.dtype()};
}

// The gradient's norm makes both decisions: to clip, and to skip.
Rescale rescale(Player& player, const StepRule& rule, const std::string& phase, Stats& stats) {
  const bool skip = rule.skip || player.loss_scale;
  if (!skip && rule.clip <= 0) return {};
  torch::Tensor norm = player.replica.gradients().norm().to(torch::kFloat).reshape({1});
  Rescale made{.divisor = torch::ones_like(norm), .skip = {}};
  if (player.loss_scale) {
    made.divisor = player.loss_scale->value().clone();
    norm = norm / made.divisor;
  }
  if (skip) {
    made.skip = norm.isfinite().logical_not().to(torch::kFloat);
    stats.report("skipped/" + phase, made.skip);
    if (player.loss_scale) player.loss_scale->update(made.skip);
  }
  if (rule.clip > 0) made.divisor = made.divisor * (norm / rule.clip).clamp_min(1);
  stats.report("gradient/" + phase, norm.nan_to_num(0, 0, 0));
  return made;
}

// Where a step may be skipped, its loss must not spoil the tick's mean.
torch::Tensor reported(const torch::Tensor& loss, bool skip) {
  return skip ? loss.detach().nan_to_num(0, 0, 0) : loss;
}

}  // namespace

void optimise(System& system, const Phase& phase, Step& step, const std::vector<Part>& parts,
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
  for (const auto& follow : player.after_step) follow();
}

Trainer::Trainer(const Run& run, Comm comm, std::shared_ptr<Dataset> data)
    : options_(run.options),
      comm_(comm),
      system_(run.build(data->schema(), run.context(comm))),
      loader_(std::move(data), loader_options(run, comm)) {}

Draw::Where Trainer::where() const {
  return {.seed = static_cast<uint64_t>(options_.seed),
          .purpose = "train",
          .step = number_,
          .samples = share(options_.batch / options_.accumulate, comm_.rank(), comm_.size()),
          .device = comm_.device(),
          .dtype = system_.context().dtype};
}

std::vector<Part> Trainer::next_parts() {
  const flight::Doing doing("data");
  const int64_t size = options_.batch / options_.accumulate;
  const Range mine = share(size, comm_.rank(), comm_.size());
  std::vector<Part> parts;
  for (int64_t i = 0; i < options_.accumulate; ++i)
    parts.push_back({.batch = loader_.next(),
                     .samples = {i * size + mine.first, mine.count},
                     .share = static_cast<double>(mine.count) / static_cast<double>(options_.batch)});
  return parts;
}

void Trainer::step() {
  flight::step(number_);
  Step step(where(), number_, stats_);
  std::vector<Part> parts = next_parts();
  const StepRule rule{.clip = options_.clip, .skip = options_.nonfinite == "skip"};
  for (const Phase& phase : system_.phases()) {
    if (!phase.due(number_)) continue;
    const int64_t repeat = phase.repeat ? phase.repeat(number_) : 1;
    for (int64_t i = 0; i < repeat; ++i) {
      if (i > 0) parts = next_parts();
      optimise(system_, phase, step, parts, rule);
    }
  }
  ++number_;
}

void Trainer::visit(StateVisitor& visitor) {
  visitor.number("step", number_);
  Scope loader(visitor, "loader");
  loader_.visit(loader);
  system_.visit(visitor);
}

}  // namespace saddle
