// Temporal ensembling (Laine and Aila 2017, section 2.2): an image should be classified as it was on average
// in past epochs, each with its own shift, noise and dropout; labels that are known are learned besides.
#include <ATen/ops/softmax.h>

#include "models/past_outputs.h"
#include "models/semi_supervised.h"

namespace saddle {
namespace {

struct Options : SemiSupervisedOptions {
  double alpha = 0.6;
};

void describe(OptionTable& table, Options& options) {
  table.add("alpha", options.alpha, "what an epoch keeps of the past outputs' average", {0, 0.9999});
  saddle::describe(table, static_cast<SemiSupervisedOptions&>(options));
}

System build(const Options& options, const Schema& data, Context context) {
  System system(std::move(context));
  const SemiSupervised c = make_semi_supervised(system, options, data);
  const PastOutputs past(system, c.classes, options.alpha);
  const auto loss = [=](Step& step) {
    const torch::Tensor scores = c.scores(step), z = at::softmax(scores, 1);
    const auto [target, seen] = past.targets(step);
    past.saw(step, z);
    return c.supervised(step, scores) + c.weight(step) * c.consistency(step, z, target, seen);
  };
  system.phase({.name = "C",
                .players = {c.player},
                .loss = loss,
                .work = [=](Step& step) { past.update(step); },
                .on_host = true});
  return system;
}

SADDLE_SYSTEM(describe, build, .name = "temporal-ensembling",
              .about = "classifier of few labels: an image is classified as in past epochs",
              .paper = "Laine 2017", .modality = "classes of images", .tiny = {"width=4"},
              .tiny_data = few_labels, .semi_supervised = true);

}  // namespace
}  // namespace saddle
