// CycleGAN: unpaired image-to-image translation (Zhu et al. 2017, equations 1 to 3). Data are two sets of
// images of their own, --data a=FOLDER --data b=FOLDER; G_ab and G_ba translate between them, and going there
// and back must be the identity.
#include "data/dataset.h"
#include "dist/error.h"
#include "models/nets/translation.h"
#include "models/objective.h"
#include "models/pool.h"

namespace saddle {
namespace {

using torch::Tensor;

struct Options {
  Options() { objective.loss = "lsgan"; }
  AdamOptions g_adam, d_adam;
  ObjectiveOptions objective;
  Shadow average;
  int64_t g_width = 64, d_width = 64, blocks = 9, halvings = 2, layers = 3, pool = 50;
  std::string norm = "instance";
  double cycle = 10, identity = 0.5;
};

void describe(OptionTable& table, Options& options) {
  table.add("cycle", options.cycle, "weight of |G_ba(G_ab(a)) - a| and its mirror image", {0, 1e6});
  table.add("identity", options.identity, "weight of |G_ab(b) - b| and its mirror image, in parts of cycle",
            {0, 1e6});
  table.add("pool", options.pool, "past fakes of which D sees one in two; 0: only new ones",
            {0, 1e6, "images"});
  table.add("ema", options.average.decay, "decay of the averaged generators that samples are made with",
            {0, 0.999999});
  {
    const OptionTable::Group group(table, "nets");
    table.add("g.width", options.g_width, "channels of the generators at full resolution", {1, 4096});
    table.add("g.blocks", options.blocks, "their residual blocks (paper: 9, of 128x128 images 6)", {1, 64});
    table.add("g.halvings", options.halvings, "their strided convolutions", {0, 6});
    table.add("norm", options.norm,
              "between the generators' convolutions; instance norm erases an image's overall colour",
              {"instance", "batch", "none"});
    table.add("d.width", options.d_width, "channels of the discriminators' first layer", {1, 4096});
    table.add("d.layers", options.layers, "of the patch discriminators: 3 see 70x70 pixels", {1, 6});
  }
  describe(table, options.objective);
  describe(table, "g", options.g_adam);
  describe(table, "d", options.d_adam);
}

Tensor l1(const Tensor& x, const Tensor& y) {
  return (x - y).abs().mean();
}

System build(const Options& o, const Schema& data, Context context) {
  for (const char* name : {"a", "b"})
    require(data.has(name) && data[name].shape.size() == 3, Exit::data,
            "cyclegan needs two sets of images, a and b: pass --data a=FOLDER --data b=FOLDER; found {}",
            describe(data));
  require(o.identity == 0 || data["a"].shape[0] == data["b"].shape[0], Exit::usage,
          "identity = {} compares images of {} channels with images of {}: set identity to 0", o.identity,
          data["a"].shape[0], data["b"].shape[0]);
  System s(std::move(context));
  const auto generator = [&](const std::string& name, const std::string& from, const std::string& to) {
    const TranslationShape shape{
        .in = data[from].shape[0], .out = data[to].shape[0], .width = o.g_width, .norm = o.norm};
    return s.net(name, [=](Maker& make) { return resnet_generator(make, shape, o.blocks, o.halvings); });
  };
  const auto discriminator = [&](const std::string& name, const std::string& of) {
    const Field seen = Objective::seen_by_d(data[of], o.objective);
    return s.net(name, [=](Maker& make) {
      return patch_discriminator(make, {.in = seen.shape[0], .width = o.d_width, .norm = "instance"},
                                 o.layers);
    });
  };
  Net ab = generator("G_ab", "a", "b"), ba = generator("G_ba", "b", "a");
  const Net da = discriminator("D_a", "a"), db = discriminator("D_b", "b");
  Player& g = s.player("g", {ab, ba}, o.g_adam);
  Player& d = s.player("d", {da, db}, o.d_adam);
  s.average(ab, o.average);
  s.average(ba, o.average);
  const Objective objective(s, o.objective);
  const ImagePool pool_a(s, "a", o.pool, data["a"].shape), pool_b(s, "b", o.pool, data["b"].shape);
  const Adversary a{.name = "D_a",
                    .d = da,
                    .real = [](Step& t) { return Input{t.batch["a"]}; },
                    .fake = [=](Step& t) { return Input{pool_a(t, ba({t.batch["b"]}))}; },
                    .on_host = o.pool > 0};
  const Adversary b{.name = "D_b",
                    .d = db,
                    .real = [](Step& t) { return Input{t.batch["b"]}; },
                    .fake = [=](Step& t) { return Input{pool_b(t, ab({t.batch["a"]}))}; },
                    .on_host = o.pool > 0};
  objective.d_rows(s, d, {a, b});
  s.phase({.name = "G", .players = {&g}, .loss = [=](Step& t) {
             const Tensor x = t.batch["a"], y = t.batch["b"], fake_y = ab({x}), fake_x = ba({y});
             const Tensor cycle = l1(ba({fake_y}), x) + l1(ab({fake_x}), y);
             t.report("G/cycle", cycle.detach());
             Tensor loss =
                 objective.g_loss(t, a, {fake_x}) + objective.g_loss(t, b, {fake_y}) + o.cycle * cycle;
             if (o.identity > 0) loss = loss + o.cycle * o.identity * (l1(ba({x}), x) + l1(ab({y}), y));
             return loss;
           }});
  s.given = {data["a"], data["b"]};
  s.sample = [=](Sampling& q) {
    return Batch{{"b", q.run(ab, q.given["a"])}, {"a", q.run(ba, q.given["b"])}};
  };
  return s;
}

// Two sets of noise, for tests.
std::shared_ptr<Dataset> noise() {
  const auto field = [](const char* name) {
    return Field{.name = name, .shape = {3, 16, 16}, .dtype = torch::kByte, .classes = 0, .class_names = {}};
  };
  const auto pictures = [](const char* name) {
    return (uniform(Stream(7, name), {0, 50}, {3, 16, 16}, torch::kFloat) * 255).to(torch::kByte);
  };
  return in_memory({{field("a"), field("b")}}, {{"a", pictures("a")}, {"b", pictures("b")}});
}

// An instance norm takes away the bias of the convolution before it, which the authors' nets have all the same: its
// gradient is rounding.
SADDLE_SYSTEM(describe, build, .name = "cyclegan", .about = "unpaired translation between two sets of images",
              .paper = "Zhu 2017", .modality = "images from images",
              .tiny = {"g.width=4", "d.width=4", "g.blocks=1", "g.halvings=1", "d.layers=1", "pool=5"},
              .tiny_data = noise,
              .idle = {"first.convolution.bias", "down0.convolution.bias", "block0.0.convolution.bias",
                       "block0.1.convolution.bias", "up0.convolution.bias", "D_a.1.convolution.bias",
                       "D_b.1.convolution.bias"});

}  // namespace
}  // namespace saddle
