// saddle evaluate: measures of a run that fit its data. Generated mixtures: modes covered. Labelled images: a
// classifier trained on the real data judges the samples.
#include <iostream>

#include "data/picture.h"
#include "dist/error.h"
#include "dist/file.h"
#include "launch/classifier.h"
#include "launch/commands.h"
#include "launch/load_run.h"
#include "launch/preview.h"
#include "losses/metrics/frechet.h"
#include "losses/metrics/modes.h"

namespace saddle {
namespace {

using nlohmann::json;

struct EvaluateFlags {
  std::string run, picture;
  int64_t count = 2500;
  uint64_t seed = 1;
};

torch::Tensor centers_of(const json& mixture) {
  const auto rows = mixture.at("centers").get<std::vector<std::vector<double>>>();
  std::vector<torch::Tensor> centers;
  for (const auto& row : rows) centers.push_back(torch::tensor(row, torch::kDouble));
  return torch::stack(centers);
}

json judge_modes(const torch::Tensor& samples, const json& mixture) {
  const ModeCoverage c =
      mode_coverage(samples.to(torch::kDouble), centers_of(mixture), mixture.at("sigma").get<double>());
  return {{"modes", c.modes},
          {"of", c.total},
          {"solid_modes", c.solid_modes},
          {"high_quality", c.high_quality},
          {"reverse_kl", c.reverse_kl}};
}

// Agreement of requested labels with the classifier's, and the Fréchet distance of its features with its
// noise floor.
json judge_images(const Batch& samples, const Dataset& data, uint64_t seed) {
  const Classifier judge(data, seed);
  const torch::Tensor images = samples["image"].to(torch::kFloat);
  const torch::Tensor predicted = judge.predict(images);
  const int64_t classes = data.schema()["label"].classes;
  json result = {{"classifier_accuracy", judge.held_out_accuracy()},
                 {"classes_drawn", torch::bincount(predicted, {}, classes).gt(0).sum().item<int64_t>()},
                 {"of", classes}};
  if (samples.has("label")) {
    const torch::Tensor labels = samples["label"], right = predicted.eq(labels);
    result["agreement"] = right.to(torch::kDouble).mean().item<double>();
    for (int64_t k = 0; k < classes; ++k)
      result["agreement_by_class"].push_back(
          right.masked_select(labels.eq(k)).to(torch::kDouble).mean().item<double>());
  }
  const int64_t n = std::min(images.size(0), data.size() / 2);
  const torch::Tensor real = judge.features(real_samples(data, "image", 0, n, torch::kFloat));
  const torch::Tensor other = judge.features(real_samples(data, "image", n, n, torch::kFloat));
  result["fd_classifier"] = frechet_distance(judge.features(images).narrow(0, 0, n), real);
  result["fd_classifier_real_against_real"] = frechet_distance(other, real);
  return result;
}

int evaluate(World& world, const EvaluateFlags& flags) {
  const Comm comm = world.comm("cpu");
  const auto loaded = load_run(flags.run, comm);
  const Drawing drawing{.count = flags.count, .seed = flags.seed};
  const Batch samples = draw_samples(*loaded->system, drawing, comm);
  comm.together([&] {
    if (comm.rank() != 0) return;
    const auto data = loaded->data();
    const json& source = data->provenance();
    json result = {{"run", flags.run}, {"step", loaded->step}, {"samples", flags.count}};
    if (source.contains("mixture"))
      result.update(judge_modes((*samples.begin()).second, source["mixture"]));
    else if (data->schema().has("image") && data->schema().has("label"))
      result.update(judge_images(samples, *data, flags.seed));
    else
      fail(Exit::usage,
           "no measure fits these data ({}): expected a generated mixture, or images with labels",
           describe(data->schema()));
    if (!flags.picture.empty()) write_png(flags.picture, preview(*loaded->system, drawing, data.get()));
    write_file(flags.run + "/evaluation.json", result.dump(1) + "\n");
    std::cout << result.dump(1) << std::endl;
  });
  return 0;
}

}  // namespace

void add_evaluate(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<EvaluateFlags>();
  CLI::App* sub = app.add_subcommand("evaluate",
                                     "Measure a run: mode coverage of mixtures, agreement with a classifier "
                                     "for labelled images; under mpirun "
                                     "or srun each rank draws its share of the samples");
  sub->add_option("run", flags->run, "Run folder; the result is printed and kept in RUN/evaluation.json")
      ->required();
  sub->add_option("--n", flags->count, "Samples to judge")
      ->check(CLI::Range(100, 1000000))
      ->capture_default_str();
  sub->add_option("--seed", flags->seed, "Seed of latents and classifier")->capture_default_str();
  sub->add_option("--picture", flags->picture, "Also draw the samples into this PNG");
  sub->callback([flags, &chosen] { chosen = [flags](World& world) { return evaluate(world, *flags); }; });
}

}  // namespace saddle
