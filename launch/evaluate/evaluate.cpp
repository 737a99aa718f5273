// saddle evaluate: the measures of a run that fit its data (measures.h).
#include <iostream>

#include "data/view/picture.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/log.h"
#include "dist/utf8.h"
#include "launch/commands.h"
#include "launch/evaluate/measures.h"
#include "launch/evaluate/preview.h"
#include "launch/flags.h"
#include "launch/run/load_run.h"

namespace saddle {
namespace {

using nlohmann::json;

struct EvaluateFlags {
  std::string run, step, picture;
  int64_t count = 2500;
  uint64_t seed = 1;
};

void tell(const std::string& run, const json& result) {
  write_file(run + "/evaluation.json", result.dump(1) + "\n");
  std::cout << printable_json(result.dump(1)) << std::endl;
}

json about(const LoadedRun& loaded, const EvaluateFlags& flags, int64_t samples) {
  return {{"run", escape_bytes(flags.run)}, {"step", loaded.step}, {"samples", samples}};
}

// Data that the run has not seen, if there are any: kept from training, or packed beside them.
std::shared_ptr<Dataset> held_out_data(const LoadedRun& loaded, const std::shared_ptr<Dataset>& data) {
  const TrainOptions& options = loaded.run.options;
  return options.held_out > 0 ? held_out(data, options) : validation_beside(options.data, data->schema());
}

// What a classifier makes of samples that it has not seen.
void evaluate_classifier(LoadedRun& loaded, const EvaluateFlags& flags, const Comm& comm) {
  std::shared_ptr<Dataset> seen, held_out;
  comm.together([&] {
    seen = loaded.data();
    held_out = held_out_data(loaded, seen);
    if (!held_out && loaded.run.options.subset == 0 && comm.rank() == 0)
      log::warn(
          "the error is that of the data that it was trained on: train with data.held_out=0.1, or "
          "pack them with --validation 10%");
  });
  const Dataset& data = held_out ? *held_out : *seen;
  const Drawing drawing{.count = std::min(flags.count, data.size()), .seed = flags.seed, .data = &data};
  const Batch samples = draw_samples(*loaded.system, drawing, comm);
  comm.together([&] {
    if (comm.rank() != 0) return;
    const std::string& target = loaded.system->target;
    json result = about(loaded, flags, drawing.count);
    const TrainOptions& options = loaded.run.options;
    result["tested_on"] =
        !held_out ? (options.subset > 0 ? "all data, some of which were trained on" : "the training data")
        : options.held_out > 0 ? "data.held_out"
                               : "validation";
    result.update(measure_classes(samples[target], data, target, flags.seed));
    if (!flags.picture.empty())
      write_png(flags.picture, preview(*loaded.system, drawing, data.schema(), &data));
    tell(flags.run, result);
  });
}

int evaluate(World& world, const EvaluateFlags& flags) {
  const Comm comm = world.comm("cpu");
  const auto loaded = load_run(flags.run, comm, flags.step);
  if (tells_classes(*loaded->system)) {
    evaluate_classifier(*loaded, flags, comm);
    return 0;
  }
  std::shared_ptr<Dataset> given;
  comm.together([&] { given = loaded->system->given.empty() ? nullptr : loaded->data(); });
  const Drawing drawing{.count = flags.count, .seed = flags.seed, .data = given.get()};
  const Batch samples = draw_samples(*loaded->system, drawing, comm);
  comm.together([&] {
    if (comm.rank() != 0) return;
    const auto data = loaded->data();
    const auto held_out = held_out_data(*loaded, data);
    json result = about(*loaded, flags, flags.count);
    if (loaded->run.options.stack > 1)
      result.update(measure_stacked((*samples.begin()).second, *open_data(loaded->run.options.data), nullptr,
                                    flags.seed));
    else
      result.update(measure(samples, *data, held_out.get(), flags.seed));
    if (!flags.picture.empty())
      write_png(flags.picture, preview(*loaded->system, drawing, data->schema(), data.get()));
    tell(flags.run, result);
  });
  return 0;
}

}  // namespace

void add_evaluate(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<EvaluateFlags>();
  CLI::App* sub = app.add_subcommand(
      "evaluate",
      "Measure a run: mode coverage of mixtures, the error of a classifier, agreement with a classifier "
      "for labelled images, tested on OUT/validation of data in OUT/train; "
      "under mpirun or srun each rank draws its share of the samples");
  sub->add_option("run", flags->run, "Run folder; the result is printed and kept in RUN/evaluation.json")
      ->required();
  sub->add_option("--n", flags->count, "Samples to judge")
      ->check(CLI::Range(100, 1000000))
      ->capture_default_str();
  sub->add_option("--seed", flags->seed, "Seed of latents and classifier")->capture_default_str();
  add_step(sub, flags->step);
  sub->add_option("--picture", flags->picture, "Also draw the samples into this PNG")
      ->check(written_as({".png"}));
  sub->callback([flags, &chosen] { chosen = [flags](World& world) { return evaluate(world, *flags); }; });
}

}  // namespace saddle
