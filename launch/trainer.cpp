#include "launch/trainer.h"

#include "dist/error.h"

namespace saddle {
namespace {

LoaderOptions loader_options(const Run& run, const Comm& comm) {
  require(run.options.batch % comm.size() == 0, Exit::usage,
          "a batch of {} does not divide among {} ranks: use --set batch={} or another number of ranks",
          run.options.batch, comm.size(), (run.options.batch / comm.size() + 1) * comm.size());
  return {.batch = run.options.batch,
          .rank = comm.rank(),
          .size = comm.size(),
          .seed = static_cast<uint64_t>(run.options.seed),
          .threads = static_cast<int>(run.options.loader_threads),
          .device = comm.device(),
          .dtype = run.dtype()};
}

}  // namespace

void optimise(System& system, const Phase& phase, Step& step) {
  Player& player = *phase.player;
  system.only(player);
  player.replica.zero_grad();
  const torch::Tensor loss = phase.loss(step);
  step.report("loss/" + phase.name, loss);
  player.replica.arm();
  // Ranks add their gradients up: 1 / size makes the sum that of the global mean.
  (loss * (static_cast<double>(phase.every) / system.context().comm.size())).backward();
  player.replica.finish();
  at::NoGradGuard no_grad;
  player.optimizer->step(player.replica.weights(), player.replica.gradients());
  for (const auto& follow : player.after_step) follow();
}

Trainer::Trainer(const Run& run, Comm comm, std::shared_ptr<Dataset> data)
    : options_(run.options),
      comm_(comm),
      system_(run.build(data->schema(), {comm, static_cast<uint64_t>(run.options.seed), run.dtype()})),
      loader_(std::move(data), loader_options(run, comm)) {}

Draw::Where Trainer::where() const {
  const int64_t share = options_.batch / comm_.size();
  return {.seed = static_cast<uint64_t>(options_.seed),
          .purpose = "train",
          .step = number_,
          .samples = {comm_.rank() * share, share},
          .device = comm_.device(),
          .dtype = system_.context().dtype};
}

void Trainer::step() {
  Step step(where(), number_, stats_);
  step.batch = loader_.next();
  for (const Phase& phase : system_.phases()) {
    if (!phase.due(number_)) continue;
    const int64_t repeat = phase.repeat ? phase.repeat(number_) : 1;
    for (int64_t i = 0; i < repeat; ++i) {
      if (i > 0) step.batch = loader_.next();
      optimise(system_, phase, step);
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
