// The Pi-model (Laine and Aila 2017, section 2.1): two views of each image, each shifted, noisy and with its
// own dropout, should be classified alike; labels that are known are learned besides.
#include <ATen/ops/softmax.h>

#include "models/semi_supervised.h"

namespace saddle {
namespace {

struct Options : SemiSupervisedOptions {
  Options() { consistency = 100; }
};

void describe(OptionTable& table, Options& options) {
  saddle::describe(table, static_cast<SemiSupervisedOptions&>(options));
}

System build(const Options& options, const Schema& data, Context context) {
  System system(std::move(context));
  const SemiSupervised c = make_semi_supervised(system, options, data);
  system.phase({.name = "C", .players = {c.player}, .loss = [=](Step& step) {
                  const torch::Tensor one = c.scores(step), other = c.scores(step);
                  return c.supervised(step, one) +
                         c.weight(step) * c.consistency(step, at::softmax(one, 1), at::softmax(other, 1));
                }});
  return system;
}

SADDLE_SYSTEM(describe, build, .name = "pi-model",
              .about = "classifier of few labels: two views of an image agree", .paper = "Laine 2017",
              .modality = "classes of images", .tiny = {"width=4"}, .tiny_data = few_labels,
              .semi_supervised = true);

}  // namespace
}  // namespace saddle
