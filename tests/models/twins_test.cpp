// Whole training steps against their PyTorch twins: tests/peers/systems.py recorded weights, inputs and
// losses.
#include <gtest/gtest.h>

#include "dist/file.h"
#include "launch/engine/trainer.h"

namespace saddle {
namespace {

using nlohmann::json;

torch::Tensor tensor_of(const json& nested) {
  std::vector<int64_t> shape;
  for (const json* level = &nested; level->is_array(); level = &level->front())
    shape.push_back(static_cast<int64_t>(level->size()));
  std::vector<double> values;
  const std::function<void(const json&)> flatten = [&](const json& node) {
    if (node.is_array())
      for (const json& inner : node) flatten(inner);
    else
      values.push_back(node.get<double>());
  };
  flatten(nested);
  return torch::tensor(values, torch::kDouble).view(shape);
}

// nn.Sequential's names of our parameters; of the perceptrons the i-th Linear, of DCGAN's nets one by one.
std::string twin_name(const std::string& ours) {
  static const std::map<std::string, std::string> dcgan = {{"G.project.weight", "G.0.weight"},
                                                           {"G.norm.batch.weight", "G.1.weight"},
                                                           {"G.norm.batch.bias", "G.1.bias"},
                                                           {"G.norm.batch.running_mean", "G.1.running_mean"},
                                                           {"G.norm.batch.running_var", "G.1.running_var"},
                                                           {"G.up0.weight", "G.3.weight"},
                                                           {"G.up0.bias", "G.3.bias"},
                                                           {"D.down0.weight", "D.0.weight"},
                                                           {"D.down0.bias", "D.0.bias"},
                                                           {"D.judge.weight", "D.2.weight"},
                                                           {"D.judge.bias", "D.2.bias"}};
  if (const auto found = dcgan.find(ours); found != dcgan.end()) return found->second;
  if (ours.substr(1, 6) != ".main.") return "";  // an optimizer's or an average's
  return fmt::format("{}.{}.{}", ours.substr(0, 1), 2 * std::stoi(ours.substr(7, 1)), ours.substr(9));
}

class Twins : public testing::TestWithParam<std::string> {
 protected:
  json golden_ = json::parse(read_file(SADDLE_SOURCE_DIR "/tests/peers/goldens/systems.json")).at(GetParam());
  saddle::Run run_;
  Stats stats_;
  Field field_;

  System build() {
    const json& o = golden_["options"];
    std::vector<std::string> sets{"precision=float64", fmt::format("latent={}", o["latent"].get<int>())};
    const bool conv = o.contains("width");  // the twin's doubles it at 4x4
    for (const std::string net : {"g", "d"}) {
      sets.push_back(
          fmt::format("{}.width={}", net, conv ? 2 * o["width"].get<int>() : o["hidden"].get<int>()));
      sets.push_back(fmt::format("{}.depth={}", net, conv ? 1 : 2));
      sets.push_back(fmt::format("{}.lr={}", net, o["lr"].get<double>()));
      if (o.contains("betas")) {
        sets.push_back(fmt::format("{}.beta1={}", net, o["betas"][0].get<double>()));
        sets.push_back(fmt::format("{}.beta2={}", net, o["betas"][1].get<double>()));
      }
    }
    run_.resolve("system = \"" + GetParam() + "\"", "test", sets);
    field_ = {.name = conv ? "image" : "x",
              .shape = conv ? std::vector<int64_t>{1, 8, 8} : std::vector<int64_t>{2},
              .dtype = torch::kFloat,
              .classes = 0,
              .class_names = {}};
    return run_.build({{field_}}, {World::alone(), 1, torch::kDouble});
  }

  // Each of our tensors that has a twin, with the twin's value in our shape.
  template <class Use>
  static void each_twin(System& system, const json& values, Use use) {
    for (auto& [name, tensor] : collect([&](StateVisitor& v) { system.visit(v); }).tensors) {
      const std::string twin = twin_name(name);
      if (twin.empty()) continue;
      torch::Tensor value = tensor_of(values.at(twin));
      if (name == "G.project.weight")
        value = value.flatten(1).t();  // a transposed convolution of 1x1 is a dense layer
      use(name, tensor, value.reshape(tensor.sizes()));
    }
  }

  // Runs one recorded phase and returns its loss.
  double replay(System& system, const Phase& phase, const json& record) {
    std::vector<torch::Tensor> numbers{tensor_of(record["latent"])};
    if (record.contains("alpha")) numbers.push_back(tensor_of(record["alpha"]));
    size_t next = 0;
    Step step({.purpose = "replay",
               .samples = {0, numbers[0].size(0)},
               .dtype = torch::kDouble,
               .replay =
                   [&](at::IntArrayRef shape) {
                     EXPECT_EQ(numbers.at(next).sizes(), shape);
                     return numbers.at(next++);
                   }},
              0, stats_);
    Batch real;
    if (record.contains("real")) real = {{field_.name, tensor_of(record["real"])}};
    optimise(system, phase, step, {{.batch = real, .samples = step.samples(), .share = 1}});
    EXPECT_EQ(next, numbers.size()) << "a recorded input was not used";
    for (const Moments& m : stats_.tick(World::alone()))
      if (m.name == "loss/" + phase.name) return m.mean;
    return NAN;
  }
};

TEST_P(Twins, LossesAndWeightsAreThoseOfPyTorch) {
  System system = build();
  each_twin(system, golden_["init"],
            [](const std::string&, torch::Tensor ours, const torch::Tensor& twin) { ours.copy_(twin); });
  for (const json& recorded : golden_["steps"]) {
    size_t at = 0;
    for (const Phase& phase : system.phases()) {
      const int64_t repeat = phase.repeat ? phase.repeat(0) : 1;
      for (int64_t i = 0; i < repeat; ++i, ++at) {
        ASSERT_EQ(recorded.at(at)["phase"], phase.name);
        EXPECT_NEAR(replay(system, phase, recorded[at]), recorded[at]["loss"].get<double>(), 1e-9);
      }
    }
    EXPECT_EQ(at, recorded.size());
  }
  size_t compared = 0;
  each_twin(system, golden_["final"],
            [&](const std::string& name, const torch::Tensor& ours, const torch::Tensor& twin) {
              EXPECT_LE((ours - twin).abs().max().item<double>(), 1e-9) << name;
              ++compared;
            });
  EXPECT_EQ(compared, golden_["final"].size() - golden_["final"].count("G.1.num_batches_tracked"));
}

INSTANTIATE_TEST_SUITE_P(Systems, Twins,
                         testing::Values("gan", "gan-ns", "lsgan", "wgan", "wgan-gp", "dcgan"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace saddle
