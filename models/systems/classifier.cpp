// A small convolutional classifier of images, trained on all labels: features for measures of generated images
// (`saddle evaluate`), and the baseline of classifiers of few labels.
#include "models/nets/classifier.h"
#include "models/classifying.h"
#include "models/gan.h"

namespace saddle {
namespace {

struct Options {
  int64_t width = 32;
  AdamOptions adam{.lr = 1e-3, .beta1 = 0.9};
};

void describe(OptionTable& table, Options& options) {
  {
    const OptionTable::Group group(table, "nets");
    table.add("width", options.width, "channels of the first convolution", {1, 4096});
  }
  saddle::describe(table, "c", options.adam);
}

System build(const Options& options, const Schema& data, Context context) {
  System system(std::move(context));
  const Field image = main_field(data);
  const int64_t classes = classes_to_tell(data);
  const Net net = system.net(
      "C", [=, width = options.width](Maker& make) { return plain_classifier(make, image, classes, width); });
  Player& player = system.player("c", {net}, options.adam);
  system.phase({.name = "C", .players = {&player}, .loss = [=](Step& step) {
                  const torch::Tensor scores = net({step.batch[image.name]}).x.to(net.dtype);
                  step.report("C/right", scores.detach().argmax(1).eq(step.batch["label"]).to(torch::kFloat));
                  return cross_entropy(step, scores);
                }});
  tell_classes(system, net, image);
  return system;
}

SADDLE_SYSTEM(describe, build, .name = "classifier",
              .about = "classifier of images, whose features measures of generated images use",
              .paper = "LeCun 1998", .modality = "classes of images", .tiny = {"width=4"},
              .idle = {"step"});  // it draws nothing, and its rate is constant

}  // namespace
}  // namespace saddle
