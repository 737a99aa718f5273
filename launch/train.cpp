// saddle train: resolves options, makes or resumes a run, and hands it to its session.
#include <ATen/Context.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <iostream>

#include "data/pack/utf8.h"
#include "dist/agree.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/flight.h"
#include "dist/log.h"
#include "launch/commands.h"
#include "launch/cores.h"
#include "launch/init_from.h"
#include "launch/open_data.h"
#include "launch/session.h"

namespace saddle {
namespace {

using nlohmann::json;

struct TrainFlags {
  std::string recipe, out, trace, stage, on_bad, max_time, init_from;
  std::vector<std::string> data, sets;
  int64_t steps = 0;
  int trainers = 1;
  bool resume = false, force = false, dry_run = false;
};

void resolve(Run& run, const TrainFlags& flags) {
  std::vector<std::string> sets = flags.sets;
  if (flags.steps > 0) sets.push_back(fmt::format("steps={}", flags.steps));
  if (!flags.data.empty()) sets.push_back("data=" + data_text(flags.data));
  if (!flags.stage.empty())
    sets.push_back("data.stage=" + escape_bytes(std::filesystem::absolute(flags.stage).string()));
  if (!flags.on_bad.empty()) sets.push_back("data.on_bad=" + flags.on_bad);
  const bool same = flags.recipe.empty();
  require(!same || flags.resume, Exit::usage,
          "name a recipe: `saddle train RECIPE --data DIR --out RUN`; `saddle list recipes` names them");
  const std::string saved = RunFolder(trainer_folder(flags.out, 0, flags.trainers)).options();
  require(!same || std::filesystem::exists(saved), Exit::usage,
          "nothing to resume: '{}' is not there; name a recipe to start", saved);
  if (same)
    run.resolve(read_file(saved), saved, sets);
  else
    run.resolve(find_recipe(flags.recipe), fmt::format("recipe '{}'", flags.recipe), sets);
}

// What the flags of one process say, before anything is opened.
struct Plan {
  std::optional<double> max_time;
  TraceSteps trace;
};

Plan plan(Run& run, const TrainFlags& flags) {
  resolve(run, flags);
  Plan made;
  if (!flags.max_time.empty()) made.max_time = parse_duration(flags.max_time, "--max-time");
  if (!flags.trace.empty()) made.trace = parse_trace(flags.trace);
  return made;
}

void require_data_and_out(const Run& run, const TrainFlags& flags) {
  require(!run.options.data.empty(), Exit::usage, "no data: pass --data DIR, a folder made by `saddle pack`");
  require(!flags.out.empty(), Exit::usage, "no run folder: pass --out RUN");
  require(flags.trainers == 1 || run.options.checkpoint_keep > 1, Exit::usage,
          "checkpoint.keep=1 is too few for several trainers: a kill may leave one of them a checkpoint "
          "behind the others; keep 2 or more");
}

// What only some ranks were started with would end in a hang or in replicas that differ.
void require_same_start(const Comm& host, const Run& run, const TrainFlags& flags) {
  require_same(
      host, "options and flags",
      fmt::format(
          "{}--out {}\n--resume {}\n--force {}\n--trace {}\n--max-time {}\n--init-from {}\n--trainers {}",
          run.table.toml(), flags.out, flags.resume, flags.force, flags.trace, flags.max_time,
          flags.init_from, flags.trainers));
}

constexpr double kStartSeconds = 600;  // to open recipe and data, before watch.timeout is known

// The differences to the run of the checkpoint, which --force lets pass; checkpoints remember that.
void require_same_run(const Checkpoint& checkpoint, const Run& run, json& facts, bool force) {
  const std::vector<std::string> found =
      differences(checkpoint.about, run, facts.at("data").get<std::string>());
  for (const auto& [name, version] : facts.at("versions").items())
    if (const std::string was = checkpoint.about.at("versions").value(name, "none"); was != version)
      log::info("saved by {} {}, this is {}: what follows may differ in the last bits", name, was,
                version.get<std::string>());
  json forced = checkpoint.about.value("forced", json::array());
  if (!found.empty()) {
    const std::string text = fmt::format("{}", fmt::join(found, "\n  "));
    require(force, Exit::usage,
            "cannot resume '{}': it is of another run:\n  {}\nresume with the recipe and the data that it "
            "was started "
            "with, start a new run in another --out, or go on all the same with --force",
            checkpoint.folder, text);
    log::warn("resuming '{}' by --force, though it differs:\n  {}", checkpoint.folder, text);
    forced.push_back({{"step", checkpoint.step}, {"differences", found}});
  }
  if (!forced.empty()) facts["forced"] = forced;
}

int train(World& world, const TrainFlags& flags) {
  const flight::Doing start("start", kStartSeconds);
  const StopSignals signals;
  const Comm host = world.comm("cpu");
  Run run;
  std::vector<Feed> feeds;
  Plan planned;
  host.together([&] { planned = plan(run, flags); });
  if (flags.dry_run) {
    if (host.rank() == 0) std::cout << (flags.out.empty() ? run.table.help() : run.table.toml());
    return 0;
  }
  host.together([&] { require_data_and_out(run, flags); });
  require_same_start(host, run, flags);
  const auto seed = static_cast<uint64_t>(run.options.seed);
  const Comm device = run.options.device == "cpu" ? host : world.comm(run.options.device);
  const Teams teams = divide(host, device, flags.trainers);
  run.options.seed += teams.mine;
  RunFolder folder(trainer_folder(flags.out, teams.mine, teams.count));
  feeds = open_feeds(host, run.options);
  const std::shared_ptr<Dataset> data = side_by_side(feeds);
  const flight::Doing doing("set-up", kSetup * run.options.watch_timeout);
  world.watch(run.options.watch_timeout, flags.out);
  const Comm& comm = teams.comm;
  share_cores(comm, run.options.threads);
  at::globalContext().setAllowTF32CuBLAS(run.options.tf32);
  at::globalContext().setAllowTF32CuDNN(run.options.tf32);
  std::unique_ptr<RunLock> lock;
  host.together([&] {
    if (host.rank() == 0) claim_folder(flags.out, teams.count);
  });
  host.together([&] {
    if (teams.host.rank() != 0) return;
    folder.create(flags.resume);
    lock = std::make_unique<RunLock>(folder.lock());
  });
  json facts = about(run, schema_of(feeds), data->fingerprint());
  std::optional<Checkpoint> checkpoint;
  const double before_load = trace::now();
  if (flags.resume) checkpoint = load_common_checkpoint(teams, folder.checkpoints());
  const double load_seconds = trace::now() - before_load;
  host.together([&] {
    if (checkpoint) require_same_run(*checkpoint, run, facts, flags.force);
  });

  std::unique_ptr<Trainer> trainer;
  std::unique_ptr<Tournament> tournament;
  host.together([&] { trainer = std::make_unique<Trainer>(run, comm, feeds); });
  if (checkpoint && checkpoint->about.contains("init_from"))
    facts["init_from"] = checkpoint->about["init_from"];
  if (!checkpoint && !flags.init_from.empty())
    facts["init_from"] = init_from(host, trainer->system(), flags.init_from);
  host.together([&] {
    if (teams.count > 1) tournament = make_tournament(teams, trainer->system(), *data, run.options, seed);
  });
  host.together([&] {
    if (checkpoint) restore([&](StateVisitor& v) { trainer->visit(v); }, checkpoint->state);
    if (teams.host.rank() != 0) return;
    folder.save_options(run);
    folder.open_log(trainer->steps());
  });
  if (checkpoint)
    log::info("resuming '{}' at step {}; its checkpoint was read and verified in {:.2f} s", flags.out,
              trainer->steps(), load_seconds);
  log::info("{} on {} of {} samples ({}); {} rank{} on {}, batch {}, {}", run.options.system,
            run.options.data, data->size(), describe(data->schema()), comm.size(),
            comm.size() == 1 ? "" : "s", comm.device().str(), run.options.batch, trainer->system().summary());
  if (teams.count > 1)
    log::info("{} trainers of {} rank{} each, seeds {} to {}", teams.count, teams.host.size(),
              teams.host.size() == 1 ? "" : "s", seed, seed + teams.count - 1);
  if (trainer->steps() >= run.options.steps) {
    log::info("already at step {} of {}: nothing to do; --steps N goes on", trainer->steps(),
              run.options.steps);
    if (tournament) conclude(*tournament, teams, flags.out, trainer->steps());
    return 0;
  }
  const Exit status = Session({run, folder, *trainer, data, facts, planned.trace, host, lock.get(),
                               planned.max_time, teams, tournament.get()})
                          .loop();
  if (status == Exit::ok && tournament) conclude(*tournament, teams, flags.out, trainer->steps());
  if (status == Exit::ok)
    log::info("done: {}, samples in {}", folder.path(), folder.sample(run.options.steps));
  return static_cast<int>(status);
}

std::shared_ptr<TrainFlags> describe(CLI::App* sub) {
  auto flags = std::make_shared<TrainFlags>();
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
  sub->add_option(
         "--trainers", flags->trainers,
         "Several trainers, each with its share of the ranks, its seed (seed + 0, 1, ...) and its run folder "
         "OUT/trainer-0, ...; they exchange generators and keep the better ones (keys tournament.*)")
      ->check(CLI::Range(1, 1 << 20));
  sub->add_flag("--resume", flags->resume,
                "Go on from the newest whole checkpoint in --out, or start if there is none");
  sub->add_flag("--force", flags->force,
                "With --resume: go on although options or data differ from the checkpoint's; it is recorded");
  sub->add_option("--max-time", flags->max_time,
                  "Such as 30m, 12h or D-HH:MM:SS: save and stop with status 75 before this time is over");
  sub->add_option(
      "--init-from", flags->init_from,
      "Start from the weights of another run's newest checkpoint, or of a file of `saddle export`, "
      "where names and shapes are the same; a resumed run goes on with its own");
  sub->add_option(
      "--trace", flags->trace,
      "steps=FROM:UNTIL: write what all ranks did in these steps to RUN/trace.json, a Chrome trace");
  sub->add_flag("--dry-run", flags->dry_run,
                "Print the resolved options and stop; with --out as TOML, else explained");
  return flags;
}

}  // namespace

void add_train(CLI::App& app, Command& chosen) {
  CLI::App* sub =
      app.add_subcommand("train", "Train a GAN; under mpirun or srun on as many ranks as those start");
  const auto flags = describe(sub);
  sub->callback([flags, &chosen] { chosen = [flags](World& world) { return train(world, *flags); }; });
}

void validate_train(const std::vector<std::string>& arguments) {
  CLI::App app("train");
  const auto flags = describe(&app);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& e) {
    fail(Exit::usage, "`saddle train` would refuse these flags: {}", e.what());
  }
  Run run;
  plan(run, *flags);
  require_data_and_out(run, *flags);
  require(has_data(run.options.data), Exit::usage,
          "--data: there is no data set in '{}': make one with `saddle pack`", run.options.data);
}

}  // namespace saddle
