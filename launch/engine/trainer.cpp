#include "launch/engine/trainer.h"

#include <algorithm>
#include <set>

#include "dist/error.h"
#include "dist/flight.h"
#include "dist/log.h"
#include "launch/run/open_data.h"

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
          .prefetch = static_cast<int>(o.loader_prefetch),
          .readahead = static_cast<int>(o.loader_readahead),
          .device = comm.device(),
          .dtype = run.dtype()};
}

Context context_of(const Run& run, const Comm& comm, const std::vector<Feed>& feeds) {
  Context context = run.context(comm);
  const Dataset& data = *feeds.front().data;
  context.labelled =
      static_cast<double>(known_labels(data)) / static_cast<double>(std::max<int64_t>(1, data.size()));
  return context;
}

}  // namespace

Trainer::Trainer(const Run& run, Comm comm, std::shared_ptr<Dataset> data)
    : Trainer(run, comm, std::vector<Feed>{feed(std::move(data), run.options)}) {}

Trainer::Trainer(const Run& run, Comm comm, std::vector<Feed> feeds)
    : Trainer(run, comm, std::move(feeds), cuda_capture(run.options.cuda_graphs, comm)) {}

Trainer::Trainer(const Run& run, Comm comm, std::shared_ptr<Dataset> data, const Capture& capture)
    : Trainer(run, comm, std::vector<Feed>{feed(std::move(data), run.options)}, capture) {}

Trainer::Trainer(const Run& run, Comm comm, std::vector<Feed> feeds, const Capture& capture)
    : options_(run.options),
      comm_(comm),
      system_(run.build(schema_of(feeds), context_of(run, comm, feeds))),
      loader_(std::move(feeds), loader_options(run, comm)) {
  if (!capture) return;
  for (const Phase& phase : system_.phases())
    if (phase.loss && !captures(phase) && comm_.rank() == 0)
      log::warn("phase {} runs without a CUDA graph: {}", phase.name,
                phase.on_host ? "it decides on the host" : "beta2 changes; beta2.final = -1 lets it stay");
  for (const Phase& phase : system_.phases())
    graphs_.emplace_back(phase.name, comm_, capture,
                         [this, &phase](Step& step, const std::vector<Part>& parts) {
                           descend(system_, phase, step, parts, rule());
                         });
}

bool Trainer::captures(const Phase& phase) const {
  return phase.loss && !phase.on_host &&
         std::none_of(phase.players.begin(), phase.players.end(),
                      [](const Player* player) { return player->optimizer->changes_on_host(); });
}

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

void Trainer::optimise(size_t phase, Step& step, const std::vector<Part>& parts) {
  const Phase& row = system_.phases()[phase];
  if (graphs_.empty() || !captures(row)) return saddle::optimise(system_, row, step, parts, rule());
  graphs_[phase].run(step, parts);
  follow(row, step);
}

void Trainer::step() {
  flight::step(number_);
  system_.begin_step(number_);
  Step step(where(), number_, stats_);
  std::vector<Part> parts = next_parts();
  for (size_t p = 0; p < system_.phases().size(); ++p) {
    const Phase& phase = system_.phases()[p];
    if (!phase.due(number_)) continue;
    const int64_t repeat = phase.repeat ? phase.repeat(number_) : 1;
    for (int64_t i = 0; i < repeat; ++i) {
      if (i > 0 || phase.fresh) parts = next_parts();
      optimise(p, step, parts);
    }
  }
  system_.end_step();
  ++number_;
}

int64_t Trainer::state_bytes() {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : collect([&](StateVisitor& v) { visit(v); }).tensors)
    bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

int64_t Trainer::gradient_bytes() {
  std::set<Player*> players;
  for (const Phase& phase : system_.phases()) players.insert(phase.players.begin(), phase.players.end());
  int64_t bytes = 0;
  for (Player* player : players) bytes += static_cast<int64_t>(player->replica.gradients().nbytes());
  return bytes;
}

double Trainer::batches_a_step() const {
  constexpr int64_t kMost = 10000;  // steps looked at, spread evenly
  const int64_t looked = std::min(options_.steps, kMost);
  double sum = 0;
  for (int64_t i = 0; i < looked; ++i) {
    const int64_t number = options_.steps / looked * i;
    ++sum;
    for (const Phase& phase : system_.phases())
      if (phase.due(number))
        sum += static_cast<double>((phase.repeat ? phase.repeat(number) : 1) - 1 + (phase.fresh ? 1 : 0));
  }
  return sum / static_cast<double>(looked);
}

void Trainer::visit(StateVisitor& visitor) {
  visitor.number("step", number_);
  Scope loader(visitor, "loader");
  loader_.visit(loader);
  system_.visit(visitor);
}

}  // namespace saddle
