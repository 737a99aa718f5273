// saddle sample: samples drawn from a run's newest checkpoint, as a picture or as tensors.
#include <filesystem>

#include "data/picture.h"
#include "dist/error.h"
#include "dist/log.h"
#include "dist/safetensors.h"
#include "launch/commands.h"
#include "launch/load_run.h"
#include "launch/preview.h"

namespace saddle {
namespace {

struct SampleFlags {
  std::string run, out = "grid.png";
  Drawing drawing;
};

// Samples, labels and the latents they came from: what PyTorch needs to draw the same.
void write_tensors(LoadedRun& run, const SampleFlags& flags) {
  Drawing drawing = flags.drawing;
  drawing.latents = true;
  const Batch samples = draw_samples(*run.system, drawing);
  publish_safetensors(flags.out, {samples.begin(), samples.end()},
                      {{"system", run.run.options.system},
                       {"step", std::to_string(run.step)},
                       {"seed", std::to_string(drawing.seed)},
                       {"weights", drawing.raw ? "raw" : "average"}});
}

void draw_picture(LoadedRun& run, const SampleFlags& flags) {
  // Points are drawn over the data's; pictures do not need the data to be there still.
  const auto data = has_data(run.run.options.data) ? run.data() : nullptr;
  write_png(flags.out, preview(*run.system, flags.drawing, data.get()));
}

int sample(World& world, const SampleFlags& flags) {
  const Comm comm = world.comm("cpu");
  const auto loaded = load_run(flags.run, comm);
  comm.together([&] {
    if (comm.rank() != 0) return;
    const bool tensors = std::filesystem::path(flags.out).extension() == ".safetensors";
    (tensors ? write_tensors : draw_picture)(*loaded, flags);
    log::info("{} samples of '{}' at step {}, {} weights, in {}", flags.drawing.count, flags.run,
              loaded->step, flags.drawing.raw ? "raw" : "averaged", flags.out);
  });
  return 0;
}

}  // namespace

void add_sample(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<SampleFlags>();
  CLI::App* sub = app.add_subcommand("sample", "Draw samples from a run's newest checkpoint");
  sub->add_option("run", flags->run, "Run folder")->required();
  sub->add_option("--n", flags->drawing.count, "Number of samples")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  sub->add_option(
         "--out", flags->out,
         "FILE.png: a grid of images, or a scatter plot of points; FILE.safetensors: samples, labels "
         "and latents z as tensors")
      ->capture_default_str();
  sub->add_option("--seed", flags->drawing.seed, "Seed of the latents")->capture_default_str();
  sub->add_option("--label", flags->drawing.label,
                  "Class to draw, for conditional systems (default: all in turn)")
      ->check(CLI::NonNegativeNumber);
  sub->add_flag("--raw", flags->drawing.raw, "From the live weights instead of their moving average");
  sub->callback([flags, &chosen] { chosen = [flags](World& world) { return sample(world, *flags); }; });
}

}  // namespace saddle
