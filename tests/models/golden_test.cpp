// Nets against numbers of the authors' code (tests/support/goldens.h).
#include <gtest/gtest.h>

#include <cctype>
#include <sstream>

#include "losses/penalty.h"
#include "models/nets/r3gan.h"
#include "models/nets/translation.h"
#include "models/objective.h"
#include "tests/support/goldens.h"

namespace saddle {
namespace {

using test::apart;
using test::Golden;
using torch::Tensor;

R3ganShape shape_of(const Golden& golden) {
  R3ganShape shape{.width = golden.list("width"),
                   .groups = golden.list("cardinality"),
                   .blocks = golden.list("blocks"),
                   .expansion = golden.number("expansion"),
                   .channels = golden["real"].size(1),
                   .latent = golden.number("noise_dim"),
                   .classes = golden.number("cond"),
                   .g_embedding = golden.number("G_cond_embed"),
                   .d_embedding = golden.number("D_cond_embed")};
  return shape;
}

// The authors' name of one of our parameters: "stage1_block0.mix.weight" of G is
// "MainLayers.1.Layers.1.LinearLayer2.Layer.weight", where a stage of G begins, and one of D ends, with its
// transition.
std::string their_name(const std::string& ours, bool generator, size_t stages,
                       const std::vector<int64_t>& blocks) {
  const std::map<std::string, std::string> whole = {
      {"embed.weight", "EmbeddingLayer.weight"},
      {"colour.weight", generator ? "AggregationLayer.Layer.weight" : "ExtractionLayer.Layer.weight"},
      {"basis", "MainLayers.0.Layers.0.Basis"},
      {"scale.weight", "MainLayers.0.Layers.0.LinearLayer.weight"}};
  if (const auto found = whole.find(ours); found != whole.end()) return found->second;
  const std::string last = fmt::format("MainLayers.{}.Layers.{}.", stages - 1, blocks[0]);
  if (ours == "basis.weight") return last + "Basis.weight";
  if (ours == "score.weight") return last + "LinearLayer.weight";
  int stage = 0, block = 0;
  const auto place = [&](int64_t layer) {
    return fmt::format("MainLayers.{}.Layers.{}.", generator ? stage : static_cast<int>(stages) - 1 - stage,
                       layer);
  };
  char part[64] = {};
  if (std::sscanf(ours.c_str(), "stage%d_block%d.%63s", &stage, &block, part) == 3) {
    const std::map<std::string, std::string> parts = {{"expand.weight", "LinearLayer1.Layer.weight"},
                                                      {"mix.weight", "LinearLayer2.Layer.weight"},
                                                      {"project.weight", "LinearLayer3.Layer.weight"},
                                                      {"bias0", "NonLinearity1.Bias"},
                                                      {"bias1", "NonLinearity2.Bias"}};
    return place(generator ? block + 1 : block) + parts.at(part);
  }
  EXPECT_EQ(std::sscanf(ours.c_str(), "stage%d_change.%63s", &stage, part), 2) << ours;
  return place(generator ? 0 : blocks[static_cast<size_t>(stage)]) + "LinearLayer.Layer.weight";
}

// Weights from the file; by the authors' names.
std::map<std::string, Tensor> take_weights(Network& net, const Golden& golden, const R3ganShape& shape,
                                           bool generator) {
  std::map<std::string, Tensor> by_name;
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : net.parameters()) {
    const std::string theirs = their_name(name, generator, shape.width.size(), shape.blocks);
    const Tensor& value = golden[(generator ? "G." : "D.") + theirs];
    EXPECT_EQ(value.numel(), tensor.numel()) << name << " " << theirs;
    torch::Tensor(tensor).copy_(value.reshape(tensor.sizes())).requires_grad_(true);
    by_name[theirs] = tensor;
  }
  EXPECT_EQ(by_name.size(), golden.names(generator ? "G." : "D.").size())
      << "a weight of the file has no place";
  return by_name;
}

constexpr double kForward = 2e-5, kGradient = 1e-4;  // of the largest value

void expect_gradients(const Golden& golden, const std::string& prefix, const Tensor& loss,
                      const std::map<std::string, Tensor>& weights) {
  for (const std::string& name : golden.names(prefix)) {
    const Tensor gradient = torch::autograd::grad({loss}, {weights.at(name)}, {}, /*retain_graph=*/true)[0];
    EXPECT_LE(apart(gradient, golden[prefix + name]), kGradient) << prefix << name;
  }
}

TEST(R3ganGolden, NetsLossesPenaltiesAndGradientsAreTheAuthors) {
  for (const auto& path : test::golden_files("r3gan_", ".safetensors")) {
    SCOPED_TRACE(path.filename());
    const Golden golden = test::read_golden(path);
    const R3ganShape shape = shape_of(golden);
    Maker make(World::alone(), 1);
    const auto g = r3gan_generator(make, shape), d = r3gan_discriminator(make, shape);
    const auto g_weights = take_weights(*g, golden, shape, true),
               d_weights = take_weights(*d, golden, shape, false);
    const Tensor y = golden.has("y") ? golden["y"] : Tensor();

    const Tensor fake = g->forward({golden["z"], y});
    EXPECT_LE(apart(fake, golden["fake"]), kForward);
    const Tensor real_in = golden["real"].clone().requires_grad_(true),
                 fake_in = fake.detach().requires_grad_(true);
    const Tensor on_real = d->forward({real_in, y}), on_fake = d->forward({fake_in, y});
    EXPECT_LE(apart(on_real, golden["D_real"]), kForward);
    EXPECT_LE(apart(on_fake, golden["D_fake"]), kForward);

    const AdversarialLoss loss = adversarial_loss("rpgan");
    const Tensor adversarial = loss.d(on_real, on_fake, mean_here).fake;
    const Tensor r1 = squared_gradient_norms(on_real, real_in), r2 = squared_gradient_norms(on_fake, fake_in);
    EXPECT_LE(apart(on_real - on_fake, golden["d.rel_logits"]), kForward);
    EXPECT_LE(apart(adversarial, golden["d.adv"]), kForward);
    EXPECT_LE(apart(r1, golden["d.r1"]), kGradient);
    EXPECT_LE(apart(r2, golden["d.r2"]), kGradient);
    const Tensor d_loss = adversarial.mean() + golden.real("gamma") / 2 * (r1 + r2).mean();
    EXPECT_LE(apart(d_loss, golden["d.loss"]), kForward);
    expect_gradients(golden, "d.grad.", d_loss, d_weights);

    const Tensor on_new = d->forward({fake, y}), on_old = d->forward({golden["real"], y});
    EXPECT_LE(apart(on_new - on_old, golden["g.rel_logits"]), kForward);
    const Tensor g_values = loss.g(on_old, on_new, mean_here).fake;
    EXPECT_LE(apart(g_values, golden["g.adv"]), kForward);
    EXPECT_LE(apart(g_values.mean(), golden["g.loss"]), kForward);
    expect_gradients(golden, "g.grad.", g_values.mean(), g_weights);
  }
}

int64_t parameters_of(const Network& net) {
  int64_t count = 0;
  for (const auto& [name, tensor] : net.parameters()) count += tensor.numel();
  return count;
}

nlohmann::json r3gan_tables() {
  return nlohmann::json::parse(read_file(test::golden_files("r3gan_counts_schedules", ".json").front()));
}

TEST(R3ganGolden, ThePresetsHaveAsManyParameters) {
  const nlohmann::json tables = r3gan_tables();
  for (const auto& [name, preset] : tables.at("param_counts").items()) {
    R3ganShape shape{.width = preset.at("width").get<std::vector<int64_t>>(),
                     .groups = preset.at("cardinality").get<std::vector<int64_t>>(),
                     .blocks = {},
                     .expansion = preset.at("expansion").get<int64_t>(),
                     .latent = preset.at("noise").get<int64_t>(),
                     .classes = std::stoll(name.substr(name.find("cond=") + 5))};
    shape.blocks.assign(shape.width.size(), preset.at("blocks_per_stage").get<int64_t>());
    Maker make(World::alone(), 1);
    EXPECT_EQ(parameters_of(*r3gan_generator(make, shape)), preset.at("G").get<int64_t>()) << name;
    EXPECT_EQ(parameters_of(*r3gan_discriminator(make, shape)), preset.at("D").get<int64_t>()) << name;
    // As the options say it: so wide at 4x4, from some stage on half as wide each.
    const int64_t full = std::count(shape.width.begin(), shape.width.end(), shape.width.front());
    const int64_t size = int64_t{4} << (shape.width.size() - 1);
    const R3ganShape said = r3gan_shape(
        {.name = "image", .shape = {3, size, size}, .dtype = torch::kByte, .classes = 0, .class_names = {}},
        shape.width.front(), full, shape.blocks.front(),
        shape.width.front() * shape.expansion / shape.groups.front());
    EXPECT_EQ(said.width, shape.width) << name;
    EXPECT_EQ(said.groups, shape.groups) << name;
  }
}

TEST(R3ganGolden, SchedulesAreTheAuthors) {
  const nlohmann::json tables = r3gan_tables();
  for (const auto& [name, preset] : tables.at("schedules").items())
    for (const auto& [quantity, row] : preset.items()) {
      if (!row.is_object()) continue;
      const Schedule cosine{.shape = "cosine", .until = preset.at("total_nimg").get<int64_t>()};
      const double from = row.at("base").get<double>(), to = row.at("final").get<double>();
      for (const auto& point : row.at("values"))
        EXPECT_NEAR(cosine.at(from, to, point[0].get<int64_t>(), 0), point[1].get<double>(),
                    1e-9 * std::max(from, to))
            << name << " " << quantity << " at " << point[0];
    }
}

// Weights in the order of the authors' layers, "model.10.conv_block.1.weight" before
// "model.10.conv_block.5.weight".
std::vector<Tensor> in_order(const Golden& golden, const std::string& prefix) {
  std::map<std::vector<int64_t>, std::pair<Tensor, Tensor>> layers;
  for (const std::string& name : golden.names(prefix)) {
    std::vector<int64_t> place;
    std::stringstream parts(name);
    for (std::string part; std::getline(parts, part, '.');)
      if (!part.empty() && std::isdigit(static_cast<unsigned char>(part[0])))
        place.push_back(std::stoll(part));
    if (name.ends_with(".weight")) layers[place].first = golden[prefix + name];
    if (name.ends_with(".bias")) layers[place].second = golden[prefix + name];
  }
  std::vector<Tensor> weights;
  for (const auto& [place, layer] : layers)
    for (const Tensor& tensor : {layer.first, layer.second})
      if (tensor.defined()) weights.push_back(tensor);
  return weights;
}

std::vector<Tensor> running(const Golden& golden, const std::string& prefix) {
  std::map<int64_t, std::vector<Tensor>> layers;
  for (const std::string& name : golden.names(prefix))
    if (name.find(".running_") != std::string::npos)
      layers[std::stoll(name.substr(name.find('.') + 1))].push_back(golden[prefix + name]);
  std::vector<Tensor> all;
  for (const auto& [place, pair] : layers) all.insert(all.end(), pair.begin(), pair.end());
  return all;
}

void fill(const Named& ours, const std::vector<Tensor>& theirs) {
  ASSERT_EQ(ours.size(), theirs.size());
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < ours.size(); ++i) {
    ASSERT_EQ(ours[i].second.sizes(), theirs[i].sizes()) << ours[i].first;
    torch::Tensor(ours[i].second).copy_(theirs[i]);
  }
}

TEST(TranslationGolden, GeneratorAndPatchesAreTheAuthors) {
  for (const auto& path : test::golden_files("pix2pix_cyclegan", ".safetensors")) {
    const Golden golden = test::read_golden(path);
    Maker make(World::alone(), 1);
    const std::vector<Tensor> resnet = in_order(golden, "resnet9.");
    const auto g = resnet_generator(
        make,
        {.in = golden["resnet9.x"].size(1), .out = golden["resnet9.y"].size(1), .width = resnet[0].size(0)});
    fill(g->parameters(), resnet);
    EXPECT_LE(apart(g->forward({golden["resnet9.x"]}), golden["resnet9.y"]), kForward);
    for (const std::string norm : {"batch", "instance"}) {
      SCOPED_TRACE(norm);
      const std::string prefix = norm == "batch" ? "patch_bn." : "patch_in.";
      const std::vector<Tensor> weights = in_order(golden, prefix);
      const auto d =
          patch_discriminator(make, {.in = weights[0].size(1), .width = weights[0].size(0), .norm = norm});
      fill(d->parameters(), weights);
      fill(d->buffers(), running(golden, prefix));
      d->train(false);
      EXPECT_LE(apart(d->forward({golden["x"]}), golden[prefix + "y_eval"]), kForward);
      d->train(true);
      EXPECT_LE(apart(d->forward({golden["x"]}), golden[prefix + "y_train"]), 1e-4);
    }
  }
}

// As published, of the sizes that the papers use.
TEST(TranslationGolden, TheyHaveAsManyParameters) {
  Maker make(World::alone(), 1);
  EXPECT_EQ(parameters_of(*resnet_generator(make, {})), 11378179);
  EXPECT_EQ(parameters_of(*patch_discriminator(make, {.in = 3})), 2764737);
  EXPECT_EQ(parameters_of(*patch_discriminator(make, {.in = 6, .norm = "batch"})), 2768705);
}

}  // namespace
}  // namespace saddle
