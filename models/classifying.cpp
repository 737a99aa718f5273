#include "models/classifying.h"

#include <ATen/ops/log_softmax.h>
#include <ATen/ops/softmax.h>

#include <algorithm>

#include "dist/error.h"

namespace saddle {

int64_t classes_to_tell(const Schema& data) {
  Schema packed = data;  // without the field that readers add
  std::erase_if(packed.fields, [](const Field& field) { return field.name == "id"; });
  require(data.has("label") && data["label"].classes > 1 && data["label"].shape.empty(), Exit::data,
          "a classifier needs the field label, one of 2 classes or more for each sample; the data have {}: "
          "pack a folder a class",
          describe(packed));
  return data["label"].classes;
}

double rows(const Step& step) {
  return static_cast<double>(std::max<int64_t>(1, step.count()));
}

torch::Tensor cross_entropy(const Step& step, const torch::Tensor& scores) {
  const torch::Tensor label = step.batch["label"], known = label.ge(0);
  const torch::Tensor log_z =
      at::log_softmax(scores, 1).gather(1, label.clamp_min(0).unsqueeze(1)).squeeze(1);
  return -(log_z * known).sum() / rows(step);
}

void tell_classes(System& system, const Net& net, const Field& image) {
  system.given = {image};
  system.target = "label";
  system.sample = [=](Sampling& q) {
    const torch::Tensor z = at::softmax(q.run(net, q.given[image.name]).x.to(net.dtype), 1);
    return Batch{{"probability", z}, {"label", z.argmax(1)}};
  };
}

}  // namespace saddle
