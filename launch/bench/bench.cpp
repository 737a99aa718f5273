// saddle bench: what this machine's collectives and training steps take, and what more ranks would.
#include "launch/bench/comm.h"
#include "launch/bench/scale.h"
#include "launch/bench/step.h"
#include "launch/commands.h"

namespace saddle {
namespace {

void add_comm(CLI::App& app, Command& chosen) {
  auto o = std::make_shared<bench::CommOptions>();
  CLI::App* sub = app.add_subcommand(
      "comm",
      "Time and bandwidth of all-reduce, broadcast and all-gather of float32, as nccl-tests reports them: "
      "bytes is "
      "what ends up on a rank, algbw = bytes / time, busbw = algbw x 2(n-1)/n for all-reduce, (n-1)/n for "
      "all-gather, 1 for broadcast on n ranks. Start it under mpirun or srun");
  sub->add_option("--min", o->min, "Smallest size, such as 1KiB")->transform(CLI::AsSizeValue(false));
  sub->add_option("--max", o->max, "Largest size, such as 256MiB; sizes grow by 4")
      ->transform(CLI::AsSizeValue(false));
  sub->add_option("--iterations", o->iterations, "Timed calls a size; 0: for about half a second")
      ->check(CLI::NonNegativeNumber);
  sub->add_option("--device", o->device, "auto, cpu or cuda");
  sub->add_option("--out", o->out,
                  "File for latency and bandwidth of the all-reduce: `bench scale --net FILE`");
  sub->add_flag("--json", o->json, "Print JSON");
  sub->callback([o, &chosen] { chosen = [o](World& world) { return bench::bench_comm(world, *o); }; });
}

void add_training(CLI::App* sub, bench::TrainingOptions& o) {
  sub->add_option("recipe", o.recipe, "Recipe: a TOML file or a built-in name (`saddle list recipes`)")
      ->required();
  sub->add_option("--data", o.data, "Data set: a folder made by `saddle pack`");
  sub->add_option("--synthetic", o.synthetic, "Random images instead, channels x height x width: 3x64x64");
  sub->add_option("--set", o.sets, "key=value, overriding the recipe; repeatable")->take_all();
  sub->add_option("--steps", o.steps, "Steps that count")->check(CLI::PositiveNumber);
  sub->add_option("--warm-up", o.warm_up, "Steps before them that do not")->check(CLI::PositiveNumber);
  sub->add_flag("--json", o.json, "Print JSON, of every rank");
}

void add_step(CLI::App& app, Command& chosen) {
  auto o = std::make_shared<bench::TrainingOptions>();
  CLI::App* sub = app.add_subcommand("step", "Where the time of a training step goes, on the present ranks");
  add_training(sub, *o);
  sub->callback([o, &chosen] { chosen = [o](World& world) { return bench::bench_step(world, *o); }; });
}

void add_scale(CLI::App& app, Command& chosen) {
  auto o = std::make_shared<bench::ScaleOptions>();
  CLI::App* sub = app.add_subcommand("scale",
                                     "Predicted step time and efficiency on more ranks at a constant batch a "
                                     "rank: steps recorded here are played "
                                     "again, collective by collective, over a network of known latency and "
                                     "bandwidth. Start it on two ranks or "
                                     "more");
  add_training(sub, o->training);
  sub->add_option("--ranks", o->ranks, "Largest number of ranks; powers of two up to it")
      ->check(CLI::Range(2, 1 << 20));
  sub->add_option("--net", o->net, "h100, a100, ethernet25, or a file written by `saddle bench comm --out`");
  sub->add_option("--compute-scale", o->compute_scale, "What to multiply the measured compute times by")
      ->check(CLI::PositiveNumber);
  sub->add_option("--step-seconds", o->step_seconds,
                  "Compute time of a step on one rank, to stand for another machine's; scales all its parts")
      ->check(CLI::PositiveNumber);
  sub->callback([o, &chosen] { chosen = [o](World& world) { return bench::bench_scale(world, *o); }; });
}

}  // namespace

void add_bench(CLI::App& app, Command& chosen) {
  CLI::App* sub = app.add_subcommand("bench", "Measure collectives and training steps; predict more ranks");
  sub->require_subcommand(1);
  add_comm(*sub, chosen);
  add_step(*sub, chosen);
  add_scale(*sub, chosen);
}

}  // namespace saddle
