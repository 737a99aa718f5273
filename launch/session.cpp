#include "launch/session.h"

#include <signal.h>

#include <algorithm>
#include <cmath>

#include "data/picture.h"
#include "dist/flight.h"
#include "dist/log.h"
#include "launch/preview.h"

namespace saddle {
namespace {

using nlohmann::json;

double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Session::Session(Setup setup)
    : setup_(std::move(setup)),
      options_(setup_.run.options),
      trainer_(setup_.trainer),
      watching_(trainer_, options_, setup_.trace, setup_.folder.trace()),
      agreement_(setup_.host),
      deadline_(setup_.max_time) {}

Exit Session::loop() {
  Progress progress(trainer_.steps(), options_.steps);
  Agreement::Flags agreed;
  tick_start_ = Clock::now();
  while (trainer_.steps() < options_.steps && !agreed.stop()) {
    agreement_.ask(
        {.signalled = StopSignals::received() != 0, .late = deadline_.late(step_seconds_, save_seconds_)});
    step();
    agreed = agreement_.agree();
    const int64_t number = trainer_.steps();
    const bool last = number == options_.steps;
    const bool save =
        last || agreed.stop() || (options_.checkpoint_every > 0 && number % options_.checkpoint_every == 0);
    // A checkpoint ends a tick, so that a resumed run logs what an unbroken one does.
    if (save || number % options_.tick_every == 0) tick(progress);
    if (last || (options_.sample_every > 0 && number % options_.sample_every == 0))
      outside_tick([&] { picture(); });
    if (save) outside_tick([&] { checkpoint(); });
  }
  if (trainer_.comm().rank() == 0) progress.done();
  if (trainer_.steps() == options_.steps) return Exit::ok;
  say_stopped(agreed);
  return Exit::again;
}

void Session::step() {
  const auto start = Clock::now();
  watching_.before_step();
  trainer_.step();
  watching_.after_step();
  step_seconds_ = std::max(step_seconds_, since(start));
}

void Session::tick(Progress& progress) {
  const flight::Doing doing("tick");
  const int64_t step = trainer_.steps(), steps = step - tick_step_;
  const double seconds = since(tick_start_);
  const double rate = static_cast<double>(steps * options_.batch) / seconds;
  const std::vector<Moments> stats = trainer_.stats().tick(trainer_.comm());
  const json step_ms = watching_.tick();
  const double waited = trainer_.loader().waited();
  const int64_t bad = substituted();
  if (trainer_.comm().rank() == 0) {
    json line = {{"step", step},
                 {"images", step * options_.batch},
                 {"images_per_second", rate},
                 {"data_wait", (waited - waited_) / seconds},
                 {"step_ms", step_ms}};
    if (options_.on_bad == "skip") line["substituted"] = bad;
    for (const Moments& m : stats) line[m.name] = m.mean;
    setup_.folder.log(line);
    progress.tick(step, rate, stats, bad);
  }
  for (const Moments& m : stats)
    require(std::isfinite(m.mean), Exit::diverged,
            "{} is {} at step {}: the training has diverged; start a new run with a lower learning rate or "
            "another seed; the last good state is in '{}'",
            m.name, m.mean, step, setup_.folder.checkpoints());
  waited_ = waited;
  substituted_ = trainer_.loader().substituted();
  tick_step_ = step;
  tick_start_ = Clock::now();
}

// Samples of all ranks since the last tick that stood in for damaged ones. Collective if there may be any.
int64_t Session::substituted() const {
  if (options_.on_bad != "skip") return 0;
  torch::Tensor count = torch::full({1}, trainer_.loader().substituted() - substituted_,
                                    torch::dtype(torch::kLong).device(trainer_.comm().device()));
  trainer_.comm().all_reduce(count, Reduce::sum, "substituted");
  return count.item<int64_t>();
}

void Session::picture() {
  const flight::Doing doing("picture", kSetup * options_.watch_timeout);
  trainer_.comm().together([&] {
    if (trainer_.comm().rank() != 0) return;
    const bool points = setup_.data->schema().fields.front().shape.size() != 3;
    const Drawing drawing{.count = points ? 2500 : 64, .seed = static_cast<uint64_t>(options_.seed)};
    write_png(setup_.folder.sample(trainer_.steps()), preview(trainer_.system(), drawing, setup_.data.get()));
  });
}

void Session::checkpoint() {
  const flight::Doing doing("checkpoint", kSetup * options_.watch_timeout);
  const auto start = Clock::now();
  watching_.check_state();
  setup_.host.together([&] {
    if (setup_.lock) setup_.lock->require_held();
  });
  save_checkpoint(trainer_.comm(), setup_.folder.checkpoints(),
                  {.step = trainer_.steps(),
                   .state = collect([&](StateVisitor& v) { trainer_.visit(v); }),
                   .about = setup_.about,
                   .folder = {}},
                  options_.checkpoint_keep);
  save_seconds_ = std::max(save_seconds_, since(start));
}

void Session::say_stopped(const Agreement::Flags& agreed) const {
  const int mine = StopSignals::received();
  std::string senders;
  const auto received = setup_.host.all_gather_text(mine ? sigabbrev_np(mine) : "");
  for (size_t rank = 0; rank < received.size(); ++rank)
    if (!received[rank].empty())
      senders += fmt::format("{}SIG{} on rank {}", senders.empty() ? "" : ", ", received[rank], rank);
  log::info("stopped at step {} of {} ({}); the checkpoint is saved, the same command with --resume goes on",
            trainer_.steps(), options_.steps, agreed.signalled ? senders : "--max-time");
}

}  // namespace saddle
