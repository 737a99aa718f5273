// saddle sample: a picture drawn from a run's newest checkpoint.
#include <filesystem>

#include "data/picture.h"
#include "dist/error.h"
#include "dist/log.h"
#include "launch/commands.h"
#include "launch/load_run.h"
#include "launch/preview.h"

namespace saddle {
namespace {

struct SampleFlags {
  std::string run, out = "grid.png";
  Drawing drawing;
};

int sample(World& world, const SampleFlags& flags) {
  const Comm comm = world.comm("cpu");
  const auto loaded = load_run(flags.run, comm);
  comm.together([&] {
    if (comm.rank() != 0) return;
    // Points are drawn over the data's; pictures do not need the data to be there still.
    const auto data = has_data(loaded->run.options.data) ? loaded->data() : nullptr;
    write_png(flags.out, preview(*loaded->system, flags.drawing, data.get()));
    log::info("{} samples of '{}' at step {}, {} weights, in {}", flags.drawing.count, flags.run,
              loaded->step, flags.drawing.raw ? "raw" : "averaged", flags.out);
  });
  return 0;
}

}  // namespace

void add_sample(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<SampleFlags>();
  CLI::App* sub = app.add_subcommand("sample", "Draw samples from a run's newest checkpoint into a PNG");
  sub->add_option("run", flags->run, "Run folder")->required();
  sub->add_option("--n", flags->drawing.count, "Number of samples")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  sub->add_option("--out", flags->out, "PNG to write: a grid of images, or a scatter plot of points")
      ->capture_default_str();
  sub->add_option("--seed", flags->drawing.seed, "Seed of the latents")->capture_default_str();
  sub->add_option("--label", flags->drawing.label,
                  "Class to draw, for conditional systems (default: all in turn)")
      ->check(CLI::NonNegativeNumber);
  sub->add_flag("--raw", flags->drawing.raw, "From the live weights instead of their moving average");
  sub->callback([flags, &chosen] { chosen = [flags](World& world) { return sample(world, *flags); }; });
}

}  // namespace saddle
