// saddle sample: samples drawn from a run's checkpoint, as a picture or as tensors.
#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "data/view/kind.h"
#include "data/view/picture.h"
#include "dist/error.h"
#include "dist/log.h"
#include "dist/safetensors.h"
#include "launch/commands.h"
#include "launch/evaluate/preview.h"
#include "launch/flags.h"
#include "launch/run/load_run.h"

namespace saddle {
namespace {

struct SampleFlags {
  std::string run, step, data, device = "auto", out = "grid.png";
  std::optional<std::string> label;
  Drawing drawing;
};

std::optional<int64_t> number_in(const std::string& text) {
  int64_t number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return number;
}

// A class by its number: "3", and "number:3" where another class is called 3.
int64_t class_numbered(const Field& label, const std::string& text) {
  const std::optional<int64_t> number = number_in(text);
  require(number && *number >= 0 && *number < label.classes, Exit::usage,
          "--label {}: this system has labels 0 to {}", text, label.classes - 1);
  return *number;
}

// A class by its name, or by its number: what could be both is refused.
int64_t class_of(const Field& label, const std::string& text) {
  constexpr std::string_view kNumber = "number:", kName = "name:";
  const std::vector<std::string>& names = label.class_names;
  const auto named = [&](const std::string& name) {
    return static_cast<int64_t>(std::find(names.begin(), names.end(), name) - names.begin());
  };
  const auto count = static_cast<int64_t>(names.size());
  const int64_t by_name = named(text);
  if (const std::optional<int64_t> number = number_in(text); number && by_name < count) {
    require(*number == by_name || *number < 0 || *number >= label.classes, Exit::usage,
            "--label {0}: class number {1} is called so, and class number {0} is called '{2}': pass --label "
            "name:{0} or --label number:{0}",
            text, by_name, names[static_cast<size_t>(*number)]);
    return by_name;
  }
  if (by_name < count) return by_name;
  if (text.starts_with(kNumber)) return class_numbered(label, text.substr(kNumber.size()));
  if (text.starts_with(kName) && named(text.substr(kName.size())) < count)
    return named(text.substr(kName.size()));
  require(names.empty() || number_in(text), Exit::usage,
          "--label {}: no class is called so{}; `saddle check DATA` lists the names", text,
          did_you_mean(text, names));
  return class_numbered(label, text);
}

Drawing drawing_of(const LoadedRun& run, const SampleFlags& flags, const Dataset* data) {
  Drawing drawing = flags.drawing;
  drawing.data = data;
  if (!flags.data.empty()) {
    require(!made_of(*run.system).empty(), Exit::usage,
            "--data: this system makes its samples of noise, not of data");
    drawing.in_order = true;
    drawing.count = std::min(drawing.count, data->size());
  }
  if (!flags.label) return drawing;
  require(run.system->classes() > 0, Exit::usage, "--label {}: this system has no labels to ask for",
          *flags.label);
  drawing.label = class_of(run.schema()["label"], *flags.label);
  return drawing;
}

// What samples are made of, or drawn over: --data as it is packed, else what the run was trained on.
std::shared_ptr<Dataset> data_of(const LoadedRun& run, const SampleFlags& flags) {
  if (!flags.data.empty()) return open_data(data_text({flags.data}));
  return has_data(run.run.options.data) ? run.data() : nullptr;
}

// Samples, labels and the latents they came from: what PyTorch needs to draw the same.
void write_tensors(LoadedRun& run, Drawing drawing, const std::string& out) {
  drawing.latents = true;
  const Batch samples = draw_samples(*run.system, drawing);
  publish_safetensors(out, {samples.begin(), samples.end()},
                      {{"system", run.run.options.system},
                       {"step", std::to_string(run.step)},
                       {"seed", std::to_string(drawing.seed)},
                       {"weights", drawing.raw || !is_averaged(*run.system) ? "raw" : "average"}});
}

std::string of_class(const LoadedRun& run, const Drawing& drawing) {
  if (drawing.label < 0) return "";
  const std::string name = class_name(run.schema()["label"], drawing.label);
  const std::string number = std::to_string(drawing.label);
  return " of class " + (name == number ? name : fmt::format("{} ({})", name, number));
}

int sample(World& world, const SampleFlags& flags) {
  const Comm comm = world.comm(flags.device);
  const auto loaded = load_run(flags.run, comm, flags.step);
  comm.together([&] {
    if (comm.rank() != 0) return;
    // Points are drawn over the data's; pictures do not need the data to be there still.
    const std::shared_ptr<Dataset> data = data_of(*loaded, flags);
    const Drawing drawing = drawing_of(*loaded, flags, data.get());
    if (ending_of(flags.out) == ".safetensors")
      write_tensors(*loaded, drawing, flags.out);
    else
      write_png(flags.out, preview(*loaded->system, drawing, loaded->schema(), data.get()));
    log::info("{} samples{} of '{}' at step {}, {} weights, in {}", drawing.count, of_class(*loaded, drawing),
              flags.run, loaded->step, drawing.raw || !is_averaged(*loaded->system) ? "raw" : "averaged",
              flags.out);
  });
  return 0;
}

}  // namespace

void add_sample(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<SampleFlags>();
  CLI::App* sub = app.add_subcommand("sample", "Draw samples from a checkpoint of a run");
  sub->add_option("run", flags->run, "Run folder")->required();
  sub->add_option("--n", flags->drawing.count, "Number of samples")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  sub->add_option(
         "--out", flags->out,
         "FILE.png: a grid of images, or a scatter plot of points; FILE.safetensors: samples, labels "
         "and latents z as tensors")
      ->check(written_as({".png", ".safetensors"}))
      ->capture_default_str();
  add_step(sub, flags->step);
  sub->add_option("--seed", flags->drawing.seed, "Seed of the latents")->capture_default_str();
  sub->add_option(
      "--label", flags->label,
      "Class to draw, for conditional systems: a name, or a number, as `saddle check` lists them; "
      "name:7 or number:7 where 7 could be both (default: all in turn)");
  sub->add_option("--data", flags->data,
                  "What systems that make images of images, or tell classes, make their samples of, in "
                  "its order: a folder made by `saddle pack` (default: the run's data, shuffled)");
  add_device(sub, flags->device);
  sub->add_flag("--raw", flags->drawing.raw, "From the live weights instead of their moving average");
  sub->callback([flags, &chosen] { chosen = [flags](World& world) { return sample(world, *flags); }; });
}

}  // namespace saddle
