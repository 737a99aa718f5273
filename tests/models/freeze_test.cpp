// Freeze-D: the lowest layers of D keep their weights bit for bit while the rest learns, on any number of
// ranks.
#include <gtest/gtest.h>

#include "dist/error.h"
#include "launch/engine/trainer.h"
#include "tests/support/images.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

constexpr int64_t kSamples = 50;

std::unique_ptr<saddle::Run> options(const std::string& system, const std::vector<std::string>& more) {
  auto run = std::make_unique<saddle::Run>();
  std::vector<std::string> sets{"batch=8",   "precision=float64", "seed=3",
                                "g.width=4", "d.width=4",         "latent=6"};
  sets.insert(sets.end(), more.begin(), more.end());
  run->resolve("system = \"" + system + "\"", "test", sets);
  return run;
}

std::map<std::string, torch::Tensor> state_of(Trainer& trainer) {
  State state = collect([&](StateVisitor& v) { trainer.visit(v); });
  for (auto& [name, tensor] : state.tensors) tensor = tensor.clone();
  return state.tensors;
}

bool is_weight(const std::string& name) {
  return name.starts_with("D.") && (name.ends_with("weight") || name.ends_with("bias"));
}

class Freeze : public testing::TestWithParam<std::string> {};

TEST_P(Freeze, TheLowestLayersStayBitEqualAndTheOthersMove) {
  const Comm comm = test::world().comm("cpu");
  const auto data = test::images(kSamples);
  const auto run = options(GetParam(), {"d.freeze=1"}), free = options(GetParam(), {"d.freeze=0"});
  Trainer frozen(*run, comm, data), alone(*run, World::alone(), data), unfrozen(*free, World::alone(), data);
  const auto before = state_of(frozen);
  const auto initial = state_of(unfrozen);
  for (int i = 0; i < 3; ++i) {
    frozen.step();
    alone.step();
  }
  const auto after = state_of(frozen), reference = state_of(alone);
  int64_t still = 0, moved = 0;
  for (const auto& [name, tensor] : after) {
    EXPECT_TRUE(name.starts_with("optimizer.") || torch::equal(before.at(name), initial.at(name))) << name;
    EXPECT_LE((tensor - reference.at(name)).abs().max().item<double>(), 1e-9) << name;
    if (!is_weight(name)) continue;
    const bool lowest = name.starts_with("D.down0.");
    EXPECT_TRUE(!lowest || torch::equal(tensor, before.at(name))) << name;
    EXPECT_TRUE(lowest || name == "D.judge.bias" || !torch::equal(tensor, before.at(name))) << name;
    (lowest ? still : moved) += 1;
  }
  EXPECT_GE(still, 1);
  EXPECT_GE(moved, 3);
  EXPECT_LT(after.at("optimizer.d.square").numel(), initial.at("optimizer.d.square").numel());
}

INSTANTIATE_TEST_SUITE_P(ConvolutionalD, Freeze,
                         testing::Values("dcgan", "cgan", "lsgan", "wgan", "wgan-gp", "dragan"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(FreezeD, ANormStaysWithItsLayer) {
  const auto data = test::images(kSamples, 32);
  const auto run = options("dcgan", {"d.freeze=2", "d.norm=batch"}),
             spectral = options("dcgan", {"d.freeze=3", "d.norm=spectral"});
  for (const auto* of : {&run, &spectral}) {
    Trainer trainer(**of, test::world().comm("cpu"), data);
    const auto before = state_of(trainer);
    trainer.step();
    for (const auto& [name, tensor] : state_of(trainer)) {
      const bool frozen = name.starts_with("D.down0") || name.starts_with("D.down1");
      EXPECT_TRUE(!is_weight(name) || !frozen || torch::equal(tensor, before.at(name))) << name;
    }
  }
}

TEST(FreezeD, MoreLayersThanThereAreIsAnError) {
  const auto run = options("dcgan", {"d.freeze=3"});
  EXPECT_THROW(Trainer(*run, World::alone(), test::images(kSamples)), Error);
}

}  // namespace
}  // namespace saddle
