// Exports of every registered system against its own sampling, and what an import or a start from another run
// takes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "dist/file.h"
#include "dist/safetensors.h"
#include "launch/engine/trainer.h"
#include "launch/evaluate/preview.h"
#include "launch/exchange/export.h"
#include "launch/exchange/import.h"
#include "launch/exchange/torchscript.h"
#include "launch/train/init_from.h"
#include "tests/data/folder.h"
#include "tests/support/tiny.h"

namespace saddle {
namespace {

using nlohmann::json;
using test::error_of;
using testing::HasSubstr;
using Tensors = std::map<std::string, torch::Tensor>;

std::shared_ptr<Dataset> points() {
  return in_memory({{{.name = "x", .shape = {2}, .dtype = torch::kFloat, .classes = 0, .class_names = {}}}},
                   {{"x", normal(Stream(1, "points"), {0, 40}, {2}, torch::kFloat)}});
}

// A run of a few steps, as it is loaded from its folder.
std::unique_ptr<LoadedRun> trained(const std::string& name, const std::shared_ptr<Dataset>& data,
                                   const std::vector<std::string>& more = {}) {
  auto loaded = std::make_unique<LoadedRun>();
  std::vector<std::string> sets = test::tiny_sets(name, {"batch=8", "seed=3"});
  for (const std::string set :
       {"g.lr=0.02", "d.lr=0.02", "c.lr=0.02", "ema=0.8", "ema.half_life=8", "ema.schedule=constant"}) {
    saddle::Run probe;
    probe.resolve("system = \"" + name + "\"", "test", {});
    if (probe.table.has(set.substr(0, set.find('=')))) sets.push_back(set);
  }
  sets.insert(sets.end(), more.begin(), more.end());
  loaded->run.resolve("system = \"" + name + "\"", "test", sets);
  Trainer trainer(loaded->run, World::alone(), data);
  for (int i = 0; i < 3; ++i) trainer.step();
  loaded->step = trainer.steps();
  loaded->system =
      std::make_unique<System>(loaded->run.build(data->schema(), loaded->run.context(World::alone())));
  const auto visit = [](System& system) { return [&](StateVisitor& v) { system.visit(v); }; };
  restore(visit(*loaded->system), collect(visit(trainer.system())));
  loaded->about = {
      {"options", {}}, {"schema", to_json(data->schema())}, {"data", data->fingerprint()}, {"versions", {}}};
  return loaded;
}

const std::string kFile = testing::TempDir() + "saddle_export_" + std::to_string(::getpid());

// Samples of the run, and of what was exported from the same latents: the largest difference, in parts of the
// largest value.
double against_samples(LoadedRun& run, const Dataset& data, const TensorFunction& exported, bool raw) {
  double largest = 0;
  for (const int64_t count : {1, 7, 64}) {
    const Batch samples =
        draw_samples(*run.system, {.count = count, .seed = 5, .raw = raw, .latents = true, .data = &data});
    std::vector<torch::Tensor> inputs;
    if (samples.has("z")) inputs.push_back(samples["z"]);
    for (const Field& field : run.system->given)
      inputs.push_back(samples[samples.has(given_name(field)) ? given_name(field) : field.name]);
    const torch::Tensor ours = (*samples.begin()).second, theirs = exported(inputs);
    EXPECT_EQ(ours.sizes(), theirs.sizes());
    largest = std::max(largest, ((ours - theirs).abs().max() / ours.abs().max()).item<double>());
  }
  return largest;
}

class Exports : public testing::TestWithParam<std::string> {
 protected:
  ~Exports() override { std::filesystem::remove(kFile); }
  // Images, and points where the system takes them.
  std::vector<std::shared_ptr<Dataset>> data_ = {test::tiny_data(GetParam(), 40)};
  void SetUp() override {
    if (test::takes_points(GetParam()) && GetParam() != "cgan") data_.push_back(points());  // without labels
  }
};

TEST_P(Exports, TorchScriptDrawsTheSameSamplesForAnyBatch) {
  for (const auto& data : data_)
    for (const bool raw : {false, true}) {
      const auto run = trained(GetParam(), data);
      export_torchscript(*run, {.nets = {}, .raw = raw}, kFile);
      const double difference = against_samples(*run, *data, read_script(read_file(kFile)), raw);
      EXPECT_LE(difference, 2e-6);
      RecordProperty(data->schema().fields[0].name + (raw ? " raw" : ""), std::to_string(difference));
      // The other weights draw other samples.
      const std::vector<Net> nets = run->system->nets();
      if (std::any_of(nets.begin(), nets.end(), [](const Net& net) { return net.average != nullptr; })) {
        EXPECT_GT(against_samples(*run, *data, read_script(read_file(kFile)), !raw), 1e-2);
      }
    }
}

TEST_P(Exports, SafetensorsHoldTheWeightsThatAreSampled) {
  for (const auto& data : data_) {
    const auto run = trained(GetParam(), data);
    export_safetensors(*run, {}, kFile);
    const auto other = trained(GetParam(), data, {"seed=4"});
    import_weights(*other->system, read_safetensors(kFile), NameMap({}));
    const Drawing drawing{.count = 9, .data = data.get()};
    const Batch a = draw_samples(*run->system, drawing), b = draw_samples(*other->system, drawing);
    EXPECT_TRUE(torch::equal((*a.begin()).second, (*b.begin()).second));
  }
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const SystemEntry& entry : systems()) all.push_back(entry.name);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Registry, Exports, testing::ValuesIn(names()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

class Transfer : public testing::Test {
 protected:
  ~Transfer() override { std::filesystem::remove(kFile); }

  static Tensors nets_of(System& system, bool raw) {
    Tensors all;
    for (const Net& net : system.nets())
      for (const Named& list : {net.parameters(raw), net.buffers(raw)})
        for (const auto& [name, tensor] : list) all[name] = tensor.clone();
    return all;
  }
};

TEST_F(Transfer, TheDescriptionSaysWhatGoesInAndComesOut) {
  const auto run = trained("cgan", test::images(40));
  const json is = describe_export(*run, {});
  EXPECT_EQ(is["nets"], json({"G"}));
  EXPECT_EQ(is["weights"], "average");
  EXPECT_EQ(is["step"], 3);
  EXPECT_EQ(is["inputs"][0]["shape"], json({"N", 6}));
  EXPECT_EQ(is["inputs"][1]["classes"], 3);
  EXPECT_EQ(is["output"]["shape"], json({"N", 1, 16, 16}));
  EXPECT_EQ(is["output"]["range"], json({-1, 1}));
  EXPECT_EQ(is["options"]["g.norm"], "batch");
  EXPECT_EQ(is["data"], run->about["data"]);
}

TEST_F(Transfer, AnotherNetIsExportedByName) {
  const auto run = trained("cgan", test::images(40));
  export_torchscript(*run, {.nets = {"D"}}, kFile);
  const torch::Tensor x = uniform(Stream(1, "x"), {0, 5}, {1, 16, 16}, torch::kFloat);
  const torch::Tensor y = torch::tensor({0, 1, 2, 0, 1}, torch::kLong);
  Network& d = *run->system->nets()[1].live;
  d.train(false);
  EXPECT_TRUE(torch::equal(read_script(read_file(kFile))({x, y}), d.forward({x, y}).x.detach()));
  EXPECT_THAT(error_of([&] { export_torchscript(*run, {.nets = {"E"}}, kFile); }),
              HasSubstr("the nets G, D"));
}

TEST_F(Transfer, ANetThatComparesTheSamplesOfABatchIsNoTorchScript) {
  for (const char* group : {"1", "2", "4"}) {
    const auto run = trained("dcgan", test::images(40), {std::string("d.minibatch_std=") + group});
    EXPECT_THAT(error_of([&] { export_torchscript(*run, {.nets = {"D"}}, kFile); }),
                HasSubstr("--to safetensors"))
        << group;
  }
}

TEST_F(Transfer, NamesAreMappedByTheClosestRule) {
  const NameMap map(
      {"a.*.weight=G.*.w flatten", "a.1.*=G.one.* transpose", "a.1.weight=G.x", "b.*=", "*.c.*=*_*"});
  EXPECT_EQ(map.of("a.2.weight").name, "G.2.w");
  EXPECT_TRUE(map.of("a.2.weight").flatten);
  EXPECT_EQ(map.of("a.1.weight").name, "G.x");
  EXPECT_EQ(map.of("a.1.bias").name, "G.one.bias");
  EXPECT_TRUE(map.of("a.1.bias").transpose);
  EXPECT_EQ(map.of("b.9").name, "");
  EXPECT_EQ(map.of("u.v.c.w").name, "u.v_w");
  EXPECT_EQ(map.of("kept").name, "kept");
  EXPECT_THAT(error_of([] { NameMap({"a=b reshape"}); }), HasSubstr("flatten"));
  EXPECT_THAT(error_of([] { NameMap({"a=b*"}); }), HasSubstr("*"));
}

TEST_F(Transfer, AnImportThatDoesNotFitListsBothSidesAndChangesNothing) {
  const auto run = trained("dcgan", test::images(40));
  Tensors file = nets_of(*run->system, false);
  std::erase_if(file, [](const auto& item) { return item.first.starts_with("D."); });
  file["G.up1.weight"] = torch::zeros({4, 1, 5, 5});
  file["extra.weight"] = torch::zeros({3});
  file.erase("G.norm.batch.running_mean");
  const Tensors before = nets_of(*run->system, true);
  const std::string error = error_of([&] { import_weights(*run->system, file, NameMap({})); });
  EXPECT_THAT(error, HasSubstr("G.up1.weight [4, 1, 5, 5]: is [4, 1, 4, 4] here"));
  EXPECT_THAT(error, HasSubstr("extra.weight [3]: no such tensor here"));
  EXPECT_THAT(error, HasSubstr("here without a tensor:\n  G.norm.batch.running_mean [8]"));
  EXPECT_THAT(error, testing::Not(HasSubstr("D.")));
  for (const auto& [name, tensor] : nets_of(*run->system, true))
    EXPECT_TRUE(torch::equal(tensor, before.at(name)));
  EXPECT_THAT(error_of([&] {
                import_weights(*run->system, {{"a", torch::zeros({1})}}, NameMap({"a="}));
              }),
              HasSubstr("D.judge.weight"));  // nothing is left: all names are listed
}

TEST_F(Transfer, ABiasThatIsNotThereIsZero) {
  const auto run = trained("dcgan", test::images(40));
  Tensors file = nets_of(*run->system, false);
  file.erase("G.up1.bias");
  file["D.down0.num_batches_tracked"] = torch::zeros({}, torch::kLong);
  const Imported taken = import_weights(*run->system, file, NameMap({}));
  EXPECT_EQ(taken.zeroed, std::vector<std::string>{"G.up1.bias"});
  EXPECT_EQ(taken.nets, (std::vector<std::string>{"D", "G"}));
  for (const bool raw : {false, true})
    EXPECT_EQ(nets_of(*run->system, raw).at("G.up1.bias").abs().sum().item<double>(), 0);
}

TEST_F(Transfer, AFileOfOneNetStartsThatNetOnly) {
  const auto run = trained("dcgan", test::images(40)), other = trained("dcgan", test::images(40), {"seed=4"});
  export_safetensors(*run, {}, kFile);
  const Tensors before = nets_of(*other->system, true), source = nets_of(*run->system, false);
  const json about = init_from(World::alone(), *other->system, kFile);
  size_t of_g = 0;
  for (const bool raw : {false, true})
    for (const auto& [name, tensor] : nets_of(*other->system, raw)) {
      const bool g = name.starts_with("G.");
      of_g += g ? 1 : 0;
      EXPECT_TRUE(torch::equal(tensor, (g ? source : before).at(name))) << name;
    }
  EXPECT_EQ(about["taken"], of_g);
}

TEST_F(Transfer, OtherShapesAreLeftAndNothingThatFitsIsAnError) {
  const auto run = trained("cgan", test::images(40));
  export_safetensors(*run, {}, kFile);
  const auto wider = trained("cgan", test::images(40), {"latent=7"});
  const Tensors before = nets_of(*wider->system, true);
  const json about = init_from(World::alone(), *wider->system, kFile);
  EXPECT_GT(about["taken"], 10);
  const Tensors after = nets_of(*wider->system, true), source = nets_of(*run->system, false);
  EXPECT_TRUE(torch::equal(after.at("G.project.weight"), before.at("G.project.weight")));
  EXPECT_TRUE(torch::equal(after.at("G.up0.weight"), source.at("G.up0.weight")));
  const auto points_run = trained("gan", points());
  EXPECT_THAT(error_of([&] { init_from(World::alone(), *points_run->system, kFile); }),
              HasSubstr("no tensor has a name and shape"));
}

}  // namespace
}  // namespace saddle
