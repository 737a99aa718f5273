// saddle train: prepares a training, opens its folder, and hands it to its session.
#include <ATen/Context.h>

#include <iostream>

#include "dist/agree.h"
#include "dist/error.h"
#include "dist/flight.h"
#include "dist/log.h"
#include "launch/commands.h"
#include "launch/run/cores.h"
#include "launch/train/dry_run.h"
#include "launch/train/resume.h"
#include "launch/train/session.h"

namespace saddle {
namespace {

constexpr double kStartSeconds = 600;  // to open recipe and data, before watch.timeout is known

// What only some ranks were started with would end in a hang or in replicas that differ.
void require_same_start(const Comm& host, const Plan& plan) {
  const TrainFlags& flags = plan.flags;
  require_same(
      host, "options and flags",
      fmt::format(
          "{}--out {}\n--resume {}\n--force {}\n--trace {}\n--max-time {}\n--init-from {} {}\n--trainers {}",
          plan.run.table.toml(), flags.out, flags.resume, flags.force, flags.trace, flags.max_time,
          flags.init_from, flags.init_from_step, flags.trainers));
}

void set_arithmetic(const Comm& comm, const TrainOptions& options) {
  share_cores(comm, options.threads);
  at::globalContext().setAllowTF32CuBLAS(options.tf32);
  at::globalContext().setAllowTF32CuDNN(options.tf32);
}

int explain(const Comm& host, const Plan& plan) {
  if (host.rank() == 0) std::cout << plan.run.table.help();
  return 0;
}

int prove(Prepared& prepared) {
  const Comm& all = prepared.teams.all;
  const std::string text = proof(prepared, all.size(), prepared.teams.comm.device().str());
  if (all.rank() == 0) std::cout << text << "nothing was started: without --dry-run this is trained\n";
  return 0;
}

int run(Prepared& prepared, Opened& opened) {
  const Plan& plan = prepared.plan;
  const TrainOptions& options = plan.run.options;
  const Teams& teams = prepared.teams;
  const int64_t steps = prepared.trainer->steps();
  if (steps >= options.steps) {
    log::info("already at step {} of {}: nothing to do; --steps N goes on", steps, options.steps);
    if (opened.tournament) conclude(*opened.tournament, teams, plan.flags.out, steps);
    return 0;
  }
  const Exit status = Session({prepared.plan.run, prepared.folder, *prepared.trainer, prepared.data,
                               opened.facts, plan.trace, teams.all, opened.lock.get(), plan.max_time, teams,
                               opened.tournament.get(), opened.measurement.get()})
                          .loop();
  if (status == Exit::ok && opened.tournament)
    conclude(*opened.tournament, teams, plan.flags.out, prepared.trainer->steps());
  if (status == Exit::ok)
    log::info("done: {}, samples in {}", prepared.folder.path(), prepared.folder.sample(options.steps));
  return static_cast<int>(status);
}

int train(World& world, const TrainFlags& flags) {
  const flight::Doing start("start", kStartSeconds);
  const StopSignals signals;
  const Comm host = world.comm("cpu");
  std::unique_ptr<Plan> plan;
  host.together([&] { plan = std::make_unique<Plan>(flags); });
  if (flags.dry_run && plan->run.options.data.empty()) return explain(host, *plan);
  host.together([&] {
    if (host.rank() == 0) require_places(*plan);
  });
  require_same_start(host, *plan);
  const TrainOptions& options = plan->run.options;
  const Comm device = options.device == "cpu" ? host : world.comm(options.device);
  const Teams teams = divide(host, device, plan->flags.trainers);
  world.watch(options.watch_timeout, flags.dry_run ? "" : flags.out);
  set_arithmetic(teams.comm, options);
  Prepared prepared = prepare(*plan, teams);
  const flight::Doing doing("set-up", kSetup * options.watch_timeout);
  if (flags.dry_run) return prove(prepared);
  Opened opened = open_or_resume(prepared);
  return run(prepared, opened);
}

}  // namespace

void add_train(CLI::App& app, Command& chosen) {
  CLI::App* sub =
      app.add_subcommand("train", "Train a GAN; under mpirun or srun on as many ranks as those start");
  auto flags = std::make_shared<TrainFlags>();
  describe(sub, *flags);
  sub->callback([flags, &chosen] {
    chosen = OnRanks([flags](World& world) { return train(world, *flags); },
                     [flags] { return watch_interface(*flags); });
  });
}

}  // namespace saddle
