#include "launch/train/session.h"

#include <signal.h>

#include <algorithm>
#include <cmath>

#include "data/view/picture.h"
#include "dist/flight.h"
#include "dist/log.h"
#include "launch/evaluate/preview.h"
#include "models/gan.h"

namespace saddle {
namespace {

using nlohmann::json;

// The ranks that stop together: all of the job. On the cpu, and with one trainer, through the backend of the
// training itself, where a rank on another path meets the others' collectives with it and is found out.
const Comm& agreeing(const Session::Setup& setup) {
  const Comm& comm = setup.trainer.comm();
  return comm.device().is_cpu() && setup.teams.count == 1 ? comm : setup.host;
}

constexpr int64_t kPoints = 2500, kPictures = 64;  // drawn while training

// So many pictures that each of a few classes has as many.
int64_t whole_rows(int64_t classes) {
  return classes > 0 && classes <= kPictures ? kPictures / classes * classes : kPictures;
}

}  // namespace

Session::Session(Setup setup)
    : setup_(std::move(setup)),
      options_(setup_.run.options),
      trainer_(setup_.trainer),
      watching_(trainer_, options_, setup_.trace, setup_.folder.trace()),
      agreement_(agreeing(setup_)),
      deadline_(setup_.max_time),
      checkpointer_(setup_.teams.host, setup_.folder.checkpoints(),
                    {.newest = options_.checkpoint_keep,
                     .milestones = options_.checkpoint_milestones,
                     .best = !options_.checkpoint_best.empty()}) {}

Exit Session::loop() {
  Progress progress(trainer_.steps(), options_.steps);
  Agreement::Flags agreed;
  if (trainer_.steps() == 0 && options_.sample_every > 0) first_pictures();
  tick_start_ = trace::now();
  while (trainer_.steps() < options_.steps && !agreed.stop()) {
    agreement_.ask({.signalled = StopSignals::received() != 0,
                    .late = deadline_.late(step_seconds_, save_seconds_),
                    .written = checkpointer_.written()});
    step();
    agreed = agreement_.agree();
    const int64_t number = trainer_.steps();
    if (setup_.tournament && setup_.tournament->due(number)) outside_tick([&] { round(); });
    const bool last = number == options_.steps;
    if (setup_.measurement && (last || number % options_.metrics_every == 0))
      measuring_ += outside_tick([&] { measure(); });
    const bool save =
        last || agreed.stop() || (options_.checkpoint_every > 0 && number % options_.checkpoint_every == 0);
    // A checkpoint ends a tick, so that a resumed run logs what an unbroken one does.
    if (save || number % options_.tick_every == 0) tick(progress);
    if (last || (options_.sample_every > 0 && number % options_.sample_every == 0))
      outside_tick([&] { picture(); });
    if (checkpointer_.pending() && agreed.written) outside_tick([&] { finish_checkpoint(); });
    if (save) outside_tick([&] { begin_checkpoint(); });
    if (last || agreed.stop() || !options_.checkpoint_async) outside_tick([&] { finish_checkpoint(); });
  }
  if (setup_.host.rank() == 0) progress.done();
  if (unsaved_) {
    log::warn("the last checkpoint, of step {}, is not saved: --resume goes on from the one before",
              trainer_.steps());
    return Exit::io;
  }
  if (trainer_.steps() == options_.steps) return Exit::ok;
  say_stopped(agreed);
  return Exit::again;
}

void Session::step() {
  const double start = trace::now();
  watching_.before_step();
  trainer_.step();
  watching_.after_step();
  step_seconds_ = std::max(step_seconds_, trace::now() - start);
}

void Session::round() {
  const flight::Doing doing("tournament", kSetup * options_.watch_timeout);
  const int64_t step = trainer_.steps();
  const Tournament::Round round = setup_.tournament->play(step);
  if (trainer_.comm().rank() == 0)
    setup_.folder.log({{"step", step}, {"tournament", to_json(round, setup_.teams)}});
}

// The samples are the same each time, so that what changes is the system.
void Session::measure() {
  const flight::Doing doing("metrics", kSetup * options_.watch_timeout);
  const Measurement& measurement = *setup_.measurement;
  const json found =
      measurement(trainer_.system(), measurement.drawing(static_cast<uint64_t>(options_.seed)));
  if (trainer_.comm().rank() == 0) setup_.folder.log({{"step", trainer_.steps()}, {"metrics", found}});
  std::string said;
  measured_step_ = trainer_.steps();
  for (const Metric& metric : measurement.metrics()) {
    if (!found.contains(metric.key)) continue;
    const double value = metric.value(found);
    measured_[metric.reported()] = value;
    said += fmt::format("{}{} {:.4g}", said.empty() ? "" : ", ", metric.key, value);
  }
  if (setup_.host.rank() == 0) log::info("step {}: {}", trainer_.steps(), said);
}

void Session::tick(Progress& progress) {
  const flight::Doing doing("tick");
  const int64_t step = trainer_.steps(), steps = step - tick_step_;
  const double seconds = trace::now() - tick_start_;
  const double rate = static_cast<double>(steps * options_.batch) / seconds;
  stats_ = trainer_.stats().tick(trainer_.comm());
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
    if (setup_.measurement) line["metrics_seconds"] = std::exchange(measuring_, 0);
    for (const Moments& m : stats_) line[m.name] = m.mean;
    for (const auto& [player, rate] : trainer_.system().learning_rates()) line["lr/" + player] = rate;
    if (!saved_.empty()) line["checkpoints"] = std::exchange(saved_, json::array());
    setup_.folder.log(line);
    if (setup_.host.rank() == 0) progress.tick(step, rate, stats_, bad);
  }
  for (const Moments& m : stats_)
    require(std::isfinite(m.mean), Exit::diverged,
            "{} is {} at step {}: the training has diverged; start a new run with a lower learning rate or "
            "another seed; the last good state is in '{}'",
            m.name, m.mean, step, setup_.folder.checkpoints());
  waited_ = waited;
  substituted_ = trainer_.loader().substituted();
  tick_step_ = step;
  tick_start_ = trace::now();
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
  draw([&](const Drawing& drawing) {
    write_png(setup_.folder.sample(trainer_.steps()),
              preview(trainer_.system(), drawing, setup_.data->schema(), setup_.data.get()));
  });
}

// What training starts from, and what it is to come to.
void Session::first_pictures() {
  picture();
  draw([&](const Drawing& drawing) {
    write_png(setup_.folder.real_samples(), real_preview(trainer_.system(), drawing, *setup_.data));
  });
}

// Pictures of one run are of the same latents.
void Session::draw(const std::function<void(const Drawing&)>& work) {
  const flight::Doing doing("picture", kSetup * options_.watch_timeout);
  trainer_.comm().together([&] {
    if (trainer_.comm().rank() != 0) return;
    const bool points = main_field(setup_.data->schema()).shape.size() != 3;
    const int64_t count = points ? kPoints : whole_rows(trainer_.system().classes());
    work({.count = count, .seed = static_cast<uint64_t>(options_.seed)});
  });
}

void Session::begin_checkpoint() {
  const flight::Doing doing("checkpoint", kSetup * options_.watch_timeout);
  finish_checkpoint();
  watching_.check_state();
  std::optional<double> score;
  setup_.host.together([&] {
    if (setup_.lock) setup_.lock->require_held();
    score = this->score();
  });
  saving_ = trainer_.steps();
  checkpointer_.begin({.step = saving_,
                       .state = collect([&](StateVisitor& v) { trainer_.visit(v); }),
                       .about = setup_.about,
                       .folder = {}},
                      score);
}

void Session::finish_checkpoint() {
  if (!checkpointer_.pending()) return;
  const flight::Doing doing("checkpoint", kSetup * options_.watch_timeout);
  const std::optional<std::string> failure = of_all_trainers(checkpointer_.finish());
  save_seconds_ = std::max(save_seconds_, checkpointer_.seconds());
  saved_.push_back({{"step", saving_},
                    {"seconds", checkpointer_.seconds()},
                    {"blocked", checkpointer_.blocked()},
                    {"failed", failure.has_value()}});
  unsaved_ = failure.has_value();
  if (!failure) return;
  setup_.host.together([&] {
    // Trainers that went on would soon have no checkpoint in common.
    require(options_.checkpoint_on_error == "warn" && setup_.teams.count == 1, Exit::io,
            "a checkpoint could not be saved: {}", *failure);
  });
  log::warn("a checkpoint could not be saved, those before it stay: {}", *failure);
}

// Collective over all ranks: no trainer begins the next checkpoint before all have published this one.
std::optional<std::string> Session::of_all_trainers(const std::optional<std::string>& failure) const {
  if (setup_.teams.count == 1) return failure;
  for (const std::string& text : setup_.host.all_gather_text(failure.value_or(""), "checkpoint"))
    if (!text.empty()) return text;
  return {};
}

bool Session::highest_is_best() const {
  if (options_.checkpoint_best_is != "auto") return options_.checkpoint_best_is == "highest";
  if (!setup_.measurement) return false;
  const std::vector<Metric>& all = setup_.measurement->metrics();
  return std::any_of(all.begin(), all.end(), [&](const Metric& metric) {
    return metric.higher_is_better && metric.reported() == options_.checkpoint_best;
  });
}

// Lower is better.
std::optional<double> Session::score() const {
  const std::string& wanted = options_.checkpoint_best;
  if (wanted.empty()) return {};
  const auto found =
      std::find_if(stats_.begin(), stats_.end(), [&](const Moments& m) { return m.name == wanted; });
  const auto measured = measured_step_ == trainer_.steps() ? measured_.find(wanted) : measured_.end();
  if (found == stats_.end() && measured == measured_.end()) return {};  // of a phase that was not due
  const double value = found != stats_.end() ? found->mean : measured->second;
  if (!std::isfinite(value)) return {};
  return highest_is_best() ? -value : value;
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
