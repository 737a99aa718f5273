#include "models/semi_supervised.h"

#include <ATen/ops/reflection_pad2d.h>

#include <cmath>

#include "dist/error.h"
#include "models/classifying.h"
#include "models/gan.h"

namespace saddle {

using torch::Tensor;

namespace {

// A reflected border is smaller than the image.
void require_shift(int64_t by, at::IntArrayRef image) {
  require(image.size() != 3 || (by < image[1] && by < image[2]), Exit::usage,
          "shift = {} is too much for images of {}x{} pixels", by, image[1], image[2]);
}

}  // namespace

void describe(OptionTable& table, SemiSupervisedOptions& options) {
  table.add(
      "consistency", options.consistency,
      "weight at its height of what two views of an image may differ by, times the share of known labels",
      {0, 1e6});
  table.add("ramp", options.ramp, "steps in which it rises to that; 0: a third of the run",
            {0, 1e12, "steps"});
  table.add("noise", options.noise, "standard deviation of the noise on images while training", {0, 10});
  table.add("dropout", options.dropout, "share of a layer's values set to zero while training", {0, 0.99});
  table.add("shift", options.shift, "pixels by which images are moved at random while training", {0, 64});
  table.add("flip", options.flip, "swap left and right at random while training");
  {
    const OptionTable::Group group(table, "nets");
    table.add("width", options.width, "channels of the first convolutions (paper: 128)", {1, 4096});
  }
  describe(table, "c", options.adam);
}

Tensor jittered(Draw& draw, const Tensor& images, int64_t by, bool flip) {
  Tensor out = images;
  if (by > 0) {
    const int64_t height = images.size(2), width = images.size(3);
    require_shift(by, images.sizes().slice(1));
    const Tensor padded = at::reflection_pad2d(images, {by, by, by, by});
    const auto places = [&](int64_t extent) {  // [B, extent]
      return draw.integers(2 * by + 1).unsqueeze(1) +
             torch::arange(extent, torch::dtype(torch::kLong).device(images.device()));
    };
    const Tensor rows = places(height).reshape({-1, 1, height, 1}),
                 columns = places(width).reshape({-1, 1, 1, width});
    out = padded.gather(2, rows.expand({-1, images.size(1), -1, padded.size(3)}))
              .gather(3, columns.expand({-1, images.size(1), height, -1}));
  }
  if (flip) out = torch::where(draw.integers(2).eq(1).reshape({-1, 1, 1, 1}), out.flip(3), out);
  return out;
}

Tensor SemiSupervised::scores(Step& step) const {
  return net({jittered(step, step.batch[field], options.shift, options.flip), {}, &step}).x.to(net.dtype);
}

Tensor SemiSupervised::supervised(Step& step, const Tensor& scores) const {
  const Tensor loss = cross_entropy(step, scores);
  step.report("C/supervised", loss.detach());
  return loss;
}

Tensor SemiSupervised::weight(Step& step) const {
  const double most = height, length = static_cast<double>(std::max<int64_t>(1, steps));
  return step.value([=](int64_t t) {
    const double left = std::max(0.0, 1 - static_cast<double>(t) / length);
    return t == 0 ? 0.0 : most * std::exp(-5 * left * left);
  });
}

Tensor SemiSupervised::consistency(Step& step, const Tensor& z, const Tensor& target,
                                   const Tensor& counts) const {
  const Tensor each = (z - target).square().sum(1) / static_cast<double>(classes);
  const Tensor loss = (counts.defined() ? each * counts : each).sum() / rows(step);
  step.report("C/consistency", loss.detach());
  return loss;
}

SemiSupervised make_semi_supervised(System& system, const SemiSupervisedOptions& options,
                                    const Schema& data) {
  const Field& image = main_field(data);
  const int64_t classes = classes_to_tell(data), steps = system.context().steps;
  SemiSupervised made;
  made.field = image.name;
  made.classes = classes;
  made.options = options;
  made.height = options.consistency * system.context().labelled;
  made.steps = options.ramp > 0 ? options.ramp : steps / 3;
  const ClassifierShape shape{.image = image,
                              .classes = classes,
                              .width = options.width,
                              .noise = options.noise,
                              .dropout = options.dropout};
  require_shift(options.shift, image.shape);
  made.net = system.net("C", [=](Maker& make) { return consistency_classifier(make, shape); });
  made.player = &system.player("c", {made.net}, options.adam);
  tell_classes(system, made.net, image);
  return made;
}

std::shared_ptr<Dataset> few_labels() {
  constexpr int64_t kCount = 20, kSize = 16, kClasses = 3;
  const Stream stream(5, "few labels");
  const Tensor unknown = torch::arange(kCount, torch::dtype(torch::kLong)).remainder(3).ne(0);
  const Tensor label = integers(stream, {0, kCount}, kClasses);
  const auto field = [](const char* name, std::vector<int64_t> shape, torch::ScalarType dtype,
                        int64_t classes) {
    return Field{
        .name = name, .shape = std::move(shape), .dtype = dtype, .classes = classes, .class_names = {}};
  };
  const Tensor pixels = uniform(stream, {0, kCount}, {1, kSize, kSize}, torch::kFloat) * 255;
  return in_memory(
      {{field("image", {1, kSize, kSize}, torch::kByte, 0), field("label", {}, torch::kLong, kClasses)}},
      {{"image", pixels.to(torch::kByte)}, {"label", label.masked_fill(unknown, -1)}});
}

}  // namespace saddle
