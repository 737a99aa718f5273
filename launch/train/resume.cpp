#include "launch/train/resume.h"

#include <fmt/ranges.h>

#include "dist/error.h"
#include "dist/json.h"
#include "dist/log.h"
#include "dist/trace.h"
#include "launch/train/init_from.h"

namespace saddle {
namespace {

using nlohmann::json;

std::unique_ptr<RunLock> claim(const Prepared& prepared) {
  const TrainFlags& flags = prepared.plan.flags;
  const Teams& teams = prepared.teams;
  std::unique_ptr<RunLock> lock;
  teams.all.together([&] {
    if (teams.all.rank() == 0) claim_folder(flags.out, teams.count);
  });
  teams.all.together([&] {
    if (teams.host.rank() != 0) return;
    prepared.folder.create(flags.resume);
    lock = std::make_unique<RunLock>(prepared.folder.lock());
  });
  return lock;
}

void say_start(const Prepared& prepared, const std::optional<Checkpoint>& checkpoint, double load_seconds) {
  const TrainOptions& o = prepared.plan.run.options;
  const Comm& comm = prepared.teams.comm;
  const Teams& teams = prepared.teams;
  if (checkpoint)
    log::info("resuming '{}' at step {}; its checkpoint was read and verified in {:.2f} s",
              prepared.plan.flags.out, prepared.trainer->steps(), load_seconds);
  log::info("{} on {} of {} samples ({}); {} rank{} on {}, batch {}, {}", o.system, o.data,
            prepared.data->size(), describe(prepared.data->schema()), comm.size(),
            comm.size() == 1 ? "" : "s", comm.device().str(), o.batch, prepared.trainer->system().summary());
  if (teams.count > 1)
    log::info("{} trainers of {} rank{} each, seeds {} to {}", teams.count, teams.host.size(),
              teams.host.size() == 1 ? "" : "s", prepared.seed, prepared.seed + teams.count - 1);
  if (teams.all.rank() != 0) return;
  for (const std::string& doubt : doubts(prepared, !checkpoint)) log::warn("{}", doubt);
}

std::string way_out(const TrainFlags& flags) {
  if (flags.recipe.empty()) return "leave out the --set and --data that differ";
  return fmt::format(
      "leave the recipe out: `saddle train --out {} --resume` goes on with the run's own options", flags.out);
}

}  // namespace

void require_same_run(const Checkpoint& checkpoint, const Plan& plan, json& facts) {
  const std::vector<std::string> found =
      differences(checkpoint.about, plan.run, facts.at("data").get<std::string>());
  for (const auto& [name, version] : facts.at("versions").items())
    if (const std::string was = object_at(checkpoint.about, "versions").value(name, "none"); was != version)
      log::info("saved by {} {}, this is {}: what follows may differ in the last bits", name, was,
                version.get<std::string>());
  const json& before = object_at(checkpoint.about, "options");
  const std::string best = before.value("checkpoint.best", ""), now = plan.run.options.checkpoint_best;
  if (!best.empty() && !now.empty() && best != now)
    log::warn(
        "checkpoint.best was {} and is {}: checkpoints that are kept have scores of the old one, which are "
        "compared with the new ones'",
        best, now);
  json forced = checkpoint.about.value("forced", json::array());
  if (!found.empty()) {
    const std::string text = fmt::format("{}", fmt::join(found, "\n  "));
    require(plan.flags.force, Exit::usage,
            "cannot resume '{}': it is of another run:\n  {}\n  {}; or start a new run in another --out, or "
            "go on "
            "all the same with --force",
            checkpoint.folder, text, way_out(plan.flags));
    log::warn("resuming '{}' by --force, though it differs:\n  {}", checkpoint.folder, text);
    forced.push_back({{"step", checkpoint.step}, {"differences", found}});
  }
  if (!forced.empty()) facts["forced"] = forced;
}

Opened open_or_resume(Prepared& prepared) {
  const TrainFlags& flags = prepared.plan.flags;
  const Teams& teams = prepared.teams;
  const Run& run = prepared.plan.run;
  Trainer& trainer = *prepared.trainer;
  Opened opened{.lock = claim(prepared),
                .facts = about(run, schema_of(prepared.feeds), prepared.data->fingerprint()),
                .tournament = nullptr,
                .measurement = nullptr};
  std::optional<Checkpoint> checkpoint;
  const double before_load = trace::now();
  if (flags.resume) checkpoint = load_common_checkpoint(teams, prepared.folder.checkpoints());
  const double load_seconds = trace::now() - before_load;
  teams.all.together([&] {
    if (checkpoint) require_same_run(*checkpoint, prepared.plan, opened.facts);
  });
  if (checkpoint && checkpoint->about.contains("init_from"))
    opened.facts["init_from"] = checkpoint->about["init_from"];
  if (!checkpoint && !flags.init_from.empty())
    opened.facts["init_from"] = init_from(teams.all, trainer.system(), flags.init_from, flags.init_from_step);
  if (teams.count > 1) opened.tournament = make_tournament(teams, trainer.system(), run, prepared.seed);
  if (!prepared.metrics.empty())
    opened.measurement = std::make_unique<Measurement>(prepared.metrics, prepared.context);
  teams.all.together([&] {
    if (checkpoint) restore([&](StateVisitor& v) { trainer.visit(v); }, checkpoint->state);
    // A run that is not gone on with stays as it is.
    if (teams.host.rank() != 0 || trainer.steps() >= run.options.steps) return;
    prepared.folder.save_options(run);
    prepared.folder.open_log(trainer.steps());
  });
  say_start(prepared, checkpoint, load_seconds);
  return opened;
}

}  // namespace saddle
