// saddle train: resolves options, makes or resumes a run, and drives the trainer with its ticks, pictures and
// checkpoints.
#include <ATen/Context.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <iostream>

#include "data/picture.h"
#include "dist/agree.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/flight.h"
#include "dist/log.h"
#include "launch/commands.h"
#include "launch/cores.h"
#include "launch/open_data.h"
#include "launch/preview.h"
#include "launch/progress.h"
#include "launch/run_folder.h"
#include "launch/watching.h"

namespace saddle {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct TrainFlags {
  std::string recipe, out, trace, stage, on_bad;
  std::vector<std::string> data, sets;
  int64_t steps = 0;
  bool resume = false, dry_run = false;
};

void resolve(Run& run, const TrainFlags& flags) {
  std::vector<std::string> sets = flags.sets;
  if (flags.steps > 0) sets.push_back(fmt::format("steps={}", flags.steps));
  if (!flags.data.empty()) sets.push_back("data=" + data_text(flags.data));
  if (!flags.stage.empty()) sets.push_back("data.stage=" + std::filesystem::absolute(flags.stage).string());
  if (!flags.on_bad.empty()) sets.push_back("data.on_bad=" + flags.on_bad);
  const bool same = flags.recipe.empty();
  require(!same || flags.resume, Exit::usage,
          "name a recipe: `saddle train RECIPE --data DIR --out RUN`; `saddle list recipes` names them");
  const std::string saved = RunFolder(flags.out).options();
  require(!same || std::filesystem::exists(saved), Exit::usage,
          "nothing to resume: '{}' is not there; name a recipe to start", saved);
  if (same)
    run.resolve(read_file(saved), saved, sets);
  else
    run.resolve(find_recipe(flags.recipe), fmt::format("recipe '{}'", flags.recipe), sets);
}

// What only some ranks were started with would end in a hang or in replicas that differ.
void require_same_start(const Comm& host, const Run& run, const TrainFlags& flags) {
  require_same(host, "options and flags",
               fmt::format("{}--out {}\n--resume {}\n--trace {}", run.table.toml(), flags.out, flags.resume,
                           flags.trace));
}

constexpr double kStartSeconds = 600;  // to open recipe and data, before watch.timeout is known
constexpr double kSetup = 10;          // times watch.timeout: for what is not a step

// One training run, from its folder's making to its last checkpoint.
class Session {
 public:
  Session(Run& run, RunFolder& folder, Trainer& trainer, std::shared_ptr<Dataset> data, json about,
          TraceSteps trace)
      : run_(run),
        folder_(folder),
        trainer_(trainer),
        data_(std::move(data)),
        about_(std::move(about)),
        watching_(trainer, run.options, trace, folder.trace()) {}

  void loop() {
    const TrainOptions& o = run_.options;
    Progress progress(trainer_.steps(), o.steps);
    tick_start_ = Clock::now();
    while (trainer_.steps() < o.steps) {
      watching_.before_step();
      trainer_.step();
      watching_.after_step();
      const int64_t step = trainer_.steps();
      const bool last = step == o.steps;
      const bool save = last || (o.checkpoint_every > 0 && step % o.checkpoint_every == 0);
      // A checkpoint ends a tick, so that a resumed run logs what an unbroken one does.
      if (save || step % o.tick_every == 0) tick(progress);
      if (last || (o.sample_every > 0 && step % o.sample_every == 0)) outside_tick([&] { picture(); });
      if (save) outside_tick([&] { checkpoint(); });
    }
    if (trainer_.comm().rank() == 0) progress.done();
  }

 private:
  void tick(Progress& progress) {
    const flight::Doing doing("tick");
    const int64_t step = trainer_.steps(), steps = step - tick_step_;
    const double seconds = since(tick_start_);
    const double rate = static_cast<double>(steps * run_.options.batch) / seconds;
    const std::vector<Moments> stats = trainer_.stats().tick(trainer_.comm());
    const json step_ms = watching_.tick();
    const double waited = trainer_.loader().waited();
    const int64_t bad = substituted();
    if (trainer_.comm().rank() == 0) {
      json line = {{"step", step},
                   {"images", step * run_.options.batch},
                   {"images_per_second", rate},
                   {"data_wait", (waited - waited_) / seconds},
                   {"step_ms", step_ms}};
      if (run_.options.on_bad == "skip") line["substituted"] = bad;
      for (const Moments& m : stats) line[m.name] = m.mean;
      folder_.log(line);
      progress.tick(step, rate, stats, bad);
    }
    for (const Moments& m : stats)
      require(std::isfinite(m.mean), Exit::diverged,
              "{} is {} at step {}: the training has diverged; start a new run with a lower learning rate or "
              "another seed; the last good state is in '{}'",
              m.name, m.mean, step, folder_.checkpoints());
    waited_ = waited;
    substituted_ = trainer_.loader().substituted();
    tick_step_ = step;
    tick_start_ = Clock::now();
  }

  // Samples of all ranks since the last tick that stood in for damaged ones. Collective if there may be any.
  int64_t substituted() const {
    if (run_.options.on_bad != "skip") return 0;
    torch::Tensor count = torch::full({1}, trainer_.loader().substituted() - substituted_,
                                      torch::dtype(torch::kLong).device(trainer_.comm().device()));
    trainer_.comm().all_reduce(count, Reduce::sum, "substituted");
    return count.item<int64_t>();
  }

  template <class Work>
  void outside_tick(Work work) {
    const auto start = Clock::now();
    work();
    tick_start_ += Clock::now() - start;
  }

  void picture() {
    const flight::Doing doing("picture", kSetup * run_.options.watch_timeout);
    trainer_.comm().together([&] {
      if (trainer_.comm().rank() != 0) return;
      const bool points = data_->schema().fields.front().shape.size() != 3;
      const Drawing drawing{.count = points ? 2500 : 64, .seed = static_cast<uint64_t>(run_.options.seed)};
      write_png(folder_.sample(trainer_.steps()), preview(trainer_.system(), drawing, data_.get()));
    });
  }

  void checkpoint() {
    const flight::Doing doing("checkpoint", kSetup * run_.options.watch_timeout);
    watching_.check_state();
    save_checkpoint(trainer_.comm(), folder_.checkpoints(),
                    {.step = trainer_.steps(),
                     .state = collect([&](StateVisitor& v) { trainer_.visit(v); }),
                     .about = about_,
                     .folder = {}},
                    run_.options.checkpoint_keep);
  }

  Run& run_;
  RunFolder& folder_;
  Trainer& trainer_;
  std::shared_ptr<Dataset> data_;
  json about_;
  Watching watching_;
  int64_t tick_step_ = trainer_.steps();
  double waited_ = 0;
  int64_t substituted_ = 0;
  Clock::time_point tick_start_;
};

int train(World& world, const TrainFlags& flags) {
  const flight::Doing start("start", kStartSeconds);
  const Comm host = world.comm("cpu");
  Run run;
  RunFolder folder(flags.out);
  std::vector<Feed> feeds;
  TraceSteps trace;
  host.together([&] {
    resolve(run, flags);
    if (!flags.trace.empty()) trace = parse_trace(flags.trace);
  });
  if (flags.dry_run) {
    if (host.rank() == 0) std::cout << (flags.out.empty() ? run.table.help() : run.table.toml());
    return 0;
  }
  host.together([&] {
    require(!run.options.data.empty(), Exit::usage,
            "no data: pass --data DIR, a folder made by `saddle pack`");
    require(!flags.out.empty(), Exit::usage, "no run folder: pass --out RUN");
  });
  require_same_start(host, run, flags);
  feeds = open_feeds(host, run.options);
  const std::shared_ptr<Dataset> data = side_by_side(feeds);
  const flight::Doing doing("set-up", kSetup * run.options.watch_timeout);
  world.watch(run.options.watch_timeout, flags.out);
  const Comm comm = run.options.device == "cpu" ? host : world.comm(run.options.device);
  share_cores(comm, run.options.threads);
  at::globalContext().setAllowTF32CuBLAS(run.options.tf32);
  at::globalContext().setAllowTF32CuDNN(run.options.tf32);
  host.together([&] {
    if (host.rank() == 0) folder.create(flags.resume);
  });
  const json facts = about(run, schema_of(feeds), data->fingerprint());
  std::optional<Checkpoint> checkpoint;
  if (flags.resume) checkpoint = load_checkpoint(host, folder.checkpoints());
  host.together([&] {
    if (checkpoint) require_same_run(*checkpoint, facts);
  });

  std::unique_ptr<Trainer> trainer;
  host.together([&] { trainer = std::make_unique<Trainer>(run, comm, feeds); });
  host.together([&] {
    if (checkpoint) restore([&](StateVisitor& v) { trainer->visit(v); }, checkpoint->state);
    if (host.rank() != 0) return;
    folder.save_options(run);
    folder.open_log(trainer->steps());
  });
  if (checkpoint) log::info("resuming '{}' at step {}", flags.out, trainer->steps());
  log::info("{} on {} of {} samples ({}); {} rank{} on {}, batch {}, {}", run.options.system,
            run.options.data, data->size(), describe(data->schema()), comm.size(),
            comm.size() == 1 ? "" : "s", comm.device().str(), run.options.batch, trainer->system().summary());
  if (trainer->steps() >= run.options.steps) {
    log::info("already at step {} of {}: nothing to do; --steps N goes on", trainer->steps(),
              run.options.steps);
    return 0;
  }
  Session(run, folder, *trainer, data, facts, trace).loop();
  log::info("done: {}, samples in {}", folder.path(), folder.sample(run.options.steps));
  return 0;
}

}  // namespace

void add_train(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* sub =
      app.add_subcommand("train", "Train a GAN; under mpirun or srun on as many ranks as those start");
  sub->add_option(
      "recipe", flags->recipe,
      "Recipe: a TOML file or a built-in name (`saddle list recipes`); may be left out with --resume");
  sub->add_option("--data", flags->data,
                  "Data set: a folder made by `saddle pack`; or NAME=DIR, repeatable, for unpaired domains: "
                  "the field image of each is then called NAME, others NAME_<field>");
  sub->add_option("--stage", flags->stage,
                  "Folder on a disk of each host to which its ranks copy the data first, or find the copy of "
                  "an earlier run");
  sub->add_option("--on-bad", flags->on_bad,
                  "What a sample or shard that cannot be read does: stop the run (default), or skip: another "
                  "sample stands in for it, the same on all ranks")
      ->check(CLI::IsMember({"stop", "skip"}));
  sub->add_option("--out", flags->out,
                  "Run folder, made if missing: options.toml, log.jsonl, samples/, checkpoints/");
  sub->add_option("--set", flags->sets,
                  "key=value, overriding the recipe; repeatable. --dry-run lists the keys")
      ->take_all();
  sub->add_option("--steps", flags->steps,
                  "Length of the training in generator steps (default: the recipe's)")
      ->check(CLI::PositiveNumber);
  sub->add_flag("--resume", flags->resume,
                "Go on from the newest whole checkpoint in --out, or start if there is none");
  sub->add_option(
      "--trace", flags->trace,
      "steps=FROM:UNTIL: write what all ranks did in these steps to RUN/trace.json, a Chrome trace");
  sub->add_flag("--dry-run", flags->dry_run,
                "Print the resolved options and stop; with --out as TOML, else explained");
  sub->callback([flags, &chosen] { chosen = [flags](World& world) { return train(world, *flags); }; });
}

}  // namespace saddle
