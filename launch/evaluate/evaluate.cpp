// saddle evaluate: the measures of a run that fit its data (measures.h).
#include <iostream>

#include "data/view/picture.h"
#include "dist/error.h"
#include "dist/file.h"
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

int evaluate(World& world, const EvaluateFlags& flags) {
  const Comm comm = world.comm("cpu");
  const auto loaded = load_run(flags.run, comm, flags.step);
  std::shared_ptr<Dataset> given;
  comm.together([&] { given = loaded->system->given.empty() ? nullptr : loaded->data(); });
  const Drawing drawing{.count = flags.count, .seed = flags.seed, .data = given.get()};
  const Batch samples = draw_samples(*loaded->system, drawing, comm);
  comm.together([&] {
    if (comm.rank() != 0) return;
    const auto data = loaded->data();
    const auto held_out = validation_beside(loaded->run.options.data, data->schema());
    json result = {{"run", escape_bytes(flags.run)}, {"step", loaded->step}, {"samples", flags.count}};
    result.update(measure(samples, *data, held_out.get(), flags.seed));
    if (!flags.picture.empty())
      write_png(flags.picture, preview(*loaded->system, drawing, data->schema(), data.get()));
    write_file(flags.run + "/evaluation.json", result.dump(1) + "\n");
    std::cout << printable_json(result.dump(1)) << std::endl;
  });
  return 0;
}

}  // namespace

void add_evaluate(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<EvaluateFlags>();
  CLI::App* sub = app.add_subcommand("evaluate",
                                     "Measure a run: mode coverage of mixtures, agreement with a classifier "
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
