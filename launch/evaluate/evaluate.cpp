// saddle evaluate: the metrics of a run that fit its data (metric.h), on all ranks.
#include <iostream>

#include "data/view/picture.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/log.h"
#include "dist/utf8.h"
#include "launch/commands.h"
#include "launch/evaluate/metric.h"
#include "launch/evaluate/preview.h"
#include "launch/evaluate/repeated.h"
#include "launch/flags.h"
#include "launch/run/cores.h"
#include "launch/run/load_run.h"
#include "models/gan.h"

namespace saddle {
namespace {

using nlohmann::json;

struct EvaluateFlags {
  std::string run, step, picture, metrics, data, real, fake, device = "auto";
  int64_t count = 2500;
  uint64_t seed = 1;
  bool raw = false;
};

void tell(const std::string& run, const json& result) {
  if (!run.empty()) write_file(run + "/evaluation.json", result.dump(1) + "\n");
  std::cout << printable_json(result.dump(1)) << std::endl;
}

// Whether --force has gone on with another data.held_out.
bool held_out_changed(const json& about) {
  for (const json& forced : about.value("forced", json::array()))
    for (const json& difference : forced.value("differences", json::array()))
      if (difference.is_string() && difference.get<std::string>().starts_with("data.held_out")) return true;
  return false;
}

// Other data are measured against if a run's samples could be theirs.
void require_alike(const Schema& trained, const Schema& other, const std::string& folder) {
  const Field &a = main_field(trained), &b = main_field(other);
  const bool classes =
      !trained.has("label") || !other.has("label") || same_classes(trained["label"], other["label"]);
  require(a.name == b.name && a.shape == b.shape && classes, Exit::usage,
          "--data {}: the run was trained on {}, these data have {}{}: pack them alike", folder,
          describe(trained), describe(other),
          classes ? "" : ", and other names of classes or another number of them");
}

// What a classifier's error is the error of.
std::string tested_on(const LoadedRun& loaded, const MetricContext& context) {
  const TrainOptions& options = loaded.run.options;
  if (!context.held_out)
    return options.subset > 0 ? "all data, some of which were trained on" : "the training data";
  if (options.held_out == 0) return "validation";
  return held_out_changed(loaded.about) ? "data.held_out, of which some were trained on before --force"
                                        : "data.held_out";
}

void doubt(const TrainOptions& options, const MetricContext& context) {
  if (!context.held_out && options.subset == 0 && context.comm.rank() == 0)
    log::warn(
        "the error is that of the data that it was trained on: train with data.held_out=0.1, or pack them "
        "with --validation 10%");
}

// Collective. Measures, prints, and keeps the result in `flags.run`, if there is one.
void measure(System& system, MetricContext context, const EvaluateFlags& flags, json result) {
  const Comm comm = context.comm;
  context.seed = flags.seed;
  std::vector<Metric> chosen;
  comm.together([&] { chosen = choose_metrics(parse_metrics(flags.metrics), context); });
  const Measurement measurement(std::move(chosen), std::move(context));
  Drawing drawing = measurement.drawing(flags.seed);
  drawing.raw = flags.raw;
  result.update({{"samples", drawing.count}, {"seed", flags.seed}, {"data", drawing.data->fingerprint()}});
  result.update(measurement.about());
  result.update(measurement(system, drawing));
  comm.together([&] {
    if (comm.rank() != 0) return;
    tell(flags.run, result);
    if (!flags.picture.empty())
      write_png(flags.picture, preview(system, drawing, drawing.data->schema(), drawing.data));
  });
}

int evaluate_run(World& world, const EvaluateFlags& flags) {
  const Comm comm = world.comm(flags.device);
  share_cores(comm, 0);
  const auto loaded = load_run(flags.run, comm, flags.step);
  TrainOptions& options = loaded->run.options;
  if (!flags.data.empty()) {
    options.data = data_text({flags.data});
    options.held_out = 0;  // of the other data all are new to it
    options.subset = 0;
  }
  MetricContext context = metric_context(comm, *loaded->system, loaded->run);
  context.samples = flags.count;
  if (!flags.data.empty()) {
    comm.together([&] {
      if (options.stack == 1 && options.crop.empty())
        require_alike(loaded->schema(), context.data->schema(), flags.data);
    });
    if (tells_classes(*loaded->system)) context.held_out = nullptr;  // all of them are new to it
  }
  json result = {{"run", escape_bytes(flags.run)},
                 {"step", loaded->step},
                 {"weights", flags.raw || !is_averaged(*loaded->system) ? "raw" : "average"}};
  if (tells_classes(*loaded->system)) {
    result["tested_on"] = flags.data.empty() ? tested_on(*loaded, context) : escape_bytes(flags.data);
    if (flags.data.empty()) doubt(options, context);
  }
  measure(*loaded->system, std::move(context), flags, std::move(result));
  return 0;
}

// What --fake holds against what --real holds, whoever made it.
int evaluate_samples(World& world, const EvaluateFlags& flags) {
  const Comm comm = world.comm(flags.device);
  share_cores(comm, 0);
  Run run;
  run.options.data = data_text({flags.real});
  System none({.comm = comm});
  MetricContext context = metric_context(comm, none, run);
  std::shared_ptr<Dataset> fake;
  comm.together([&] {
    const Schema& real = context.data->schema();
    fake = open_samples(flags.fake, real.has("label") ? real["label"] : Field());
    const Field &a = main_field(real), &b = main_field(fake->schema());
    require(!real.has("label") || !fake->schema().has("label") ||
                same_classes(real["label"], fake->schema()["label"]),
            Exit::usage, "--fake has other classes than --real: pack both with --classes FILE");
    require(a.shape == b.shape, Exit::usage,
            "--fake has {}, --real {}: make them alike, `saddle pack --size`", describe(Schema{{b}}),
            describe(Schema{{a}}));
  });
  System system = repeated(fake, comm);
  context.system = &system;
  context.samples = std::min(flags.count, fake->size());
  measure(system, std::move(context), flags,
          {{"fake", escape_bytes(flags.fake)}, {"real", escape_bytes(flags.real)}});
  return 0;
}

int evaluate(World& world, const EvaluateFlags& flags) {
  const bool run = !flags.run.empty(), samples = !flags.real.empty() && !flags.fake.empty();
  require(run != samples && flags.real.empty() == flags.fake.empty(), Exit::usage,
          "expected a run, or both --real DIR and --fake DIR or FILE.safetensors");
  require(run || (flags.data.empty() && flags.step.empty() && !flags.raw), Exit::usage,
          "--data, --step and --raw go with a run, not with --real and --fake");
  return run ? evaluate_run(world, flags) : evaluate_samples(world, flags);
}

}  // namespace

void add_evaluate(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<EvaluateFlags>();
  CLI::App* sub = app.add_subcommand(
      "evaluate",
      "Measure a run by the metrics of `saddle list metrics` that fit it; classifiers are tested on "
      "data.held_out, or OUT/validation of data in OUT/train; under mpirun or srun each rank has its share "
      "of the samples");
  sub->add_option("run", flags->run, "Run folder; the result is printed and kept in RUN/evaluation.json");
  sub->add_option("--real", flags->real, "Instead of a run: data made by `saddle pack`");
  sub->add_option("--fake", flags->fake,
                  "With --real: samples of any program, packed or in a safetensors file");
  sub->add_option("--metrics", flags->metrics, "Only these, such as fd,agreement; all: all that fit");
  sub->add_option("--n", flags->count, "Samples to measure")
      ->check(CLI::Range(100, 1000000))
      ->capture_default_str();
  sub->add_option("--seed", flags->seed, "Seed of latents and classifier")->capture_default_str();
  add_step(sub, flags->step);
  sub->add_flag("--raw", flags->raw, "The live weights instead of their moving average");
  sub->add_option("--data", flags->data, "Measure against these data instead of those it was trained on");
  add_device(sub, flags->device);
  sub->add_option("--picture", flags->picture, "Also draw the samples into this PNG")
      ->check(written_as({".png"}));
  sub->callback([flags, &chosen] { chosen = [flags](World& world) { return evaluate(world, *flags); }; });
}

}  // namespace saddle
