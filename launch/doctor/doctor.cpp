// saddle doctor: looks for what would spoil a run before it costs hours, on the ranks that will train.
#include <filesystem>

#include "dist/error.h"
#include "dist/file.h"
#include "dist/trace.h"
#include "launch/commands.h"
#include "launch/doctor/host.h"
#include "launch/doctor/network.h"
#include "launch/doctor/ports.h"
#include "launch/doctor/storage.h"
#include "launch/doctor/training.h"
#include "launch/doctor/world.h"

namespace saddle {
namespace {

using namespace doctor;

struct DoctorFlags {
  std::string data, out, recipe;
  std::vector<std::string> sets;
  double timeout = 20;
  bool json = false, quick = false;
};

constexpr int64_t kSamples = 256;  // read on each rank
constexpr double kPatience = 6;    // times the timeout, for what computes

std::string watch_interface(const DoctorFlags& flags) try {
  Run run;
  if (!flags.recipe.empty()) run.resolve(find_recipe(flags.recipe), "recipe", flags.sets);
  return run.options.watch_interface;
} catch (const std::exception&) {
  return "";
}

std::shared_ptr<Run> resolve(const Comm& comm, DoctorFlags& flags) {
  auto run = std::make_shared<Run>();
  comm.together([&] {
    require(!flags.recipe.empty() || flags.sets.empty(), Exit::usage,
            "--set changes a recipe: name it by --recipe");
    if (!flags.recipe.empty())
      run->resolve(find_recipe(flags.recipe), fmt::format("recipe '{}'", flags.recipe), flags.sets);
  });
  if (flags.data.empty()) flags.data = run->options.data;
  return run;
}

std::string skipped(const DoctorFlags& flags) {
  std::string text;
  const auto add = [&](bool yes, const char* what) {
    if (yes) text += (text.empty() ? "" : ", ") + std::string(what);
  };
  add(flags.data.empty(), "the data set (--data DIR)");
  add(flags.out.empty(), "the run folder (--out RUN)");
  add(flags.recipe.empty(), "the nets' memory (--recipe RECIPE)");
  add(!flags.recipe.empty() && flags.data.empty(), "the nets' memory (needs --data)");
  return text;
}

int examine(World& world, DoctorFlags flags) {
  const double begin = trace::now();
  const Comm comm = world.comm("cpu");
  const std::shared_ptr<Run> run = resolve(comm, flags);
  const std::string device = run->options.device;
  Report report(comm, flags.json);
  report.group("program", check_program(comm));
  report.group(
      "job", join({check_world(comm), check_cores(comm, run->options.threads), check_devices(comm, device)}));
  report.group("network", join({check_collectives(world, comm, device), check_links(comm, flags.quick),
                                check_clocks(comm), check_ports(world, comm)}));
  OpenData data;
  if (!flags.data.empty())
    report.group("data", check_data(comm, flags.data, flags.quick ? 0 : kSamples, flags.timeout, data));
  int64_t available = 0;
  report.group("host", join({check_memory(comm, available), check_limits(comm, data.shards),
                             check_shared_memory(comm), check_locks(comm, flags.timeout)}));
  Needed needed;
  if (!flags.recipe.empty() && data.set)
    report.group("training",
                 check_training(comm, run, data, !flags.quick, available, kPatience * flags.timeout, needed));
  if (!flags.out.empty())
    report.group("run folder", check_run_folder(comm, flags.out, needed, flags.timeout));
  return report.finish(trace::now() - begin, skipped(flags));
}

}  // namespace

void add_doctor(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<DoctorFlags>();
  CLI::App* sub = app.add_subcommand(
      "doctor",
      "Look for what would spoil a run, on the ranks that will train: start it as the run, under mpirun or "
      "srun. Exit status 0 without a failure, warnings or not; 1 with one");
  sub->add_option("--data", flags->data, "Data set that will be trained on: a folder made by `saddle pack`");
  sub->add_option("--out", flags->out, "Run folder that will be used; what is tried there is removed again");
  sub->add_option("--recipe", flags->recipe,
                  "Recipe that will be trained, for its memory and the size of checkpoints; a real step is "
                  "taken on --data");
  sub->add_option("--set", flags->sets, "key=value, overriding the recipe; repeatable")->take_all();
  sub->add_option("--timeout", flags->timeout, "Seconds after which a file system counts as hanging")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  sub->add_flag("--json", flags->json,
                "Print an array of {check, status, found, advice, and where ranks differ ranks and hosts}");
  sub->add_flag("--quick", flags->quick, "Read no samples, take no step, and measure links briefly");
  sub->callback([flags, &chosen] {
    chosen = OnRanks([flags](World& world) { return examine(world, *flags); },
                     [flags] { return watch_interface(*flags); });
  });
}

}  // namespace saddle
