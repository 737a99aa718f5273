// What every registered system must keep, asked of each under mpirun: a newcomer gets these tests by
// registering.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "dist/error.h"
#include "launch/reported.h"
#include "launch/trainer.h"
#include "tests/support/images.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

constexpr int64_t kBatch = 8, kSamples = 50;  // the batch crosses an epoch's end in the runs below

class Systems : public testing::TestWithParam<std::string> {
 protected:
  Comm comm_ = test::world().comm("cpu");
  std::shared_ptr<Dataset> data_ = test::images(kSamples);

  // Small nets in float64, the system's own losses and optimizers.
  std::unique_ptr<saddle::Run> run(const std::string& precision = "float64",
                                   const std::vector<std::string>& more = {}) const {
    auto run = std::make_unique<saddle::Run>();
    std::vector<std::string> sets{"batch=" + std::to_string(kBatch),
                                  "precision=" + precision,
                                  "seed=3",
                                  "g.width=4",
                                  "d.width=4",
                                  "latent=6"};
    sets.insert(sets.end(), more.begin(), more.end());
    run->resolve("system = \"" + GetParam() + "\"", "test", sets);
    return run;
  }
  void expect_equal_on_one_rank(const std::vector<std::string>& sets, int steps);
  static State state_of(Trainer& trainer) {
    State state = collect([&](StateVisitor& v) { trainer.visit(v); });
    for (auto& [name, tensor] : state.tensors) tensor = tensor.clone();
    return state;
  }
  static uint64_t digest_of(Trainer& trainer) {
    return digest([&](StateVisitor& v) { trainer.visit(v); });
  }
  static void advance(Trainer& trainer, int steps) {
    for (int i = 0; i < steps; ++i) trainer.step();
  }
};

// `sets` on all ranks together against one alone.
void Systems::expect_equal_on_one_rank(const std::vector<std::string>& sets, int steps) {
  const auto options = run("float64", sets);
  Trainer together(*options, comm_, data_), alone(*options, World::alone(), data_);
  advance(together, steps);
  advance(alone, steps);
  const State a = state_of(together), b = state_of(alone);
  for (const auto& [name, tensor] : a.tensors) {
    const double difference =
        tensor.numel() == 0 ? 0 : (tensor - b.tensors.at(name)).abs().max().item<double>();
    EXPECT_LE(difference, 1e-9) << name;
  }
  const auto ours = together.stats().tick(comm_), theirs = alone.stats().tick(World::alone());
  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_NEAR(ours[i].mean, theirs[i].mean, 1e-9) << ours[i].name;
    EXPECT_TRUE(std::isfinite(ours[i].mean)) << ours[i].name;
  }
}

TEST_P(Systems, RanksComputeWhatOneRankComputes) {
  expect_equal_on_one_rank({}, 5);
}

TEST_P(Systems, AlsoWithABatchThatDoesNotDivide) {
  expect_equal_on_one_rank({"batch=7"}, 3);
}

TEST_P(Systems, AlsoWithFewerSamplesThanRanks) {
  expect_equal_on_one_rank({"batch=3"}, 3);
}

TEST_P(Systems, AlsoInPartsAndWithAClippedGradient) {
  expect_equal_on_one_rank({"accumulate=4", "clip=0.1", "nonfinite=skip"}, 3);
}

TEST_P(Systems, ChannelsLastIsTheSameArithmetic) {
  const auto plain = run("float64"), other = run("float64", {"channels_last=true"});
  Trainer a(*plain, comm_, data_), b(*other, comm_, data_);
  advance(a, 3);
  advance(b, 3);
  const State x = state_of(a), y = state_of(b);
  for (const auto& [name, tensor] : x.tensors) {
    if (name.starts_with("optimizer.")) continue;  // flat vectors hold the weights as they lie in memory
    EXPECT_LE((tensor - y.tensors.at(name)).abs().max().item<double>(), 1e-9) << name;
  }
}

TEST_P(Systems, LowerPrecisionsTrainAndResume) {
  for (const char* precision : {"bfloat16", "float16"}) {
    const auto options = run(precision);
    Trainer straight(*options, comm_, data_), first(*options, comm_, data_), second(*options, comm_, data_);
    advance(straight, 4);
    advance(first, 2);
    restore([&](StateVisitor& v) { second.visit(v); }, state_of(first));
    advance(second, 2);
    EXPECT_EQ(digest_of(second), digest_of(straight)) << precision;
    for (const Moments& m : straight.stats().tick(comm_)) EXPECT_TRUE(std::isfinite(m.mean)) << m.name;
    for (const auto& [name, tensor] : state_of(straight).tensors)
      EXPECT_TRUE(!tensor.is_floating_point() || tensor.isfinite().all().item<bool>()) << name;
  }
}

TEST_P(Systems, WhatTheyReportIsKnownBeforeTheFirstStep) {
  std::vector<std::vector<std::string>> cases{{}, {"nonfinite=skip", "clip=1"}, {"accumulate=4"}};
  if (GetParam() == "wgan-gp") cases.push_back({"penalty_every=4"});
  if (GetParam() == "dcgan") cases.push_back({"d.minibatch_std=4"});  // wants more than two samples
  for (const auto& sets : cases) {
    const auto options = run("float32", sets);
    Trainer trainer(*options, comm_, data_);
    advance(trainer, 1);
    std::vector<std::string> names;
    for (const Moments& m : trainer.stats().tick(comm_)) names.push_back(m.name);
    EXPECT_EQ(reported_names(*options, data_->schema()), names);
    for (const char* name : {"D/real", "D/fake", "gradient/D", "gradient/G"})
      EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
  }
}

TEST_P(Systems, RanksStayIdentical) {
  const auto options = run("float32");
  Trainer trainer(*options, comm_, data_);
  advance(trainer, 5);
  const auto digests = comm_.all_gather_text(std::to_string(digest_of(trainer)));
  for (const std::string& other : digests) EXPECT_EQ(other, digests[0]);
}

TEST_P(Systems, AResumedRunIsTheUnbrokenOneBitForBit) {
  const auto options = run("float32");
  Trainer straight(*options, comm_, data_), first(*options, comm_, data_);
  advance(straight, 6);
  advance(first, 3);
  const State saved = state_of(first);
  advance(first, 1);  // what is saved is not disturbed by going on
  Trainer second(*options, comm_, data_);
  advance(second, 1);  // nor is what is loaded by what was there
  restore([&](StateVisitor& v) { second.visit(v); }, saved);
  advance(second, 3);
  EXPECT_EQ(digest_of(second), digest_of(straight));
}

TEST_P(Systems, AResumeWithoutAnyOneItemIsNoticed) {
  // The negative control of the test above: with one item left as a new run has it, something other than that
  // item differs later, or what is drawn does.
  const auto options = run("float32");
  Trainer first(*options, comm_, data_), second(*options, comm_, data_);
  const State fresh = state_of(second);
  advance(first, 3);
  const State saved = state_of(first);
  const auto go_on = [&](const State& from, const std::string& without) {
    restore([&](StateVisitor& v) { second.visit(v); }, from);
    advance(second, 2);
    std::string seen;
    for (const Item& item : digests([&](StateVisitor& v) { second.visit(v); }))
      if (item.name != without) seen += fmt::format("{} {}\n", item.name, item.digest);
    for (const bool raw : {false, true}) {
      Sampling sampling({.seed = 1, .purpose = "sample", .step = 0, .samples = {0, 4}}, {}, raw);
      System& system = second.system();
      if (system.classes > 0) sampling.y = torch::zeros({4}, torch::kLong);
      torch::Tensor image = system.draw(sampling)["image"];
      seen += std::to_string(digest([&](StateVisitor& v) { v.tensor("image", image); })) + "\n";
    }
    return seen;
  };
  const auto notice = [&](const std::string& name, const State& less) {
    EXPECT_TRUE(go_on(less, name) != go_on(saved, name))
        << name << " could be left out of a checkpoint unnoticed";
  };
  for (const auto& [name, tensor] : saved.tensors) {
    // Nothing reads these again: the bias cancels in a Wasserstein loss; D always normalizes by its batch; an
    // average takes the running statistics of the live net whole at each step.
    // WGAN-GP's Adam has beta1 = 0: its mean is the last gradient.
    if (GetParam() == "wgan-gp" && name.starts_with("optimizer.") && name.ends_with(".mean")) continue;
    const bool running = name.find(".running_") != std::string::npos;
    if (name == "D.judge.bias" || (running && (name.starts_with("D.") || name.starts_with("average."))))
      continue;
    State less = saved;
    less.tensors[name] = fresh.tensors.at(name);
    notice(name, less);
  }
  for (const auto& [name, number] : saved.numbers) {
    State less = saved;
    less.numbers[name] = fresh.numbers.at(name);
    notice(name, less);
  }
}

TEST_P(Systems, EveryItemOfStateMatters) {
  // A state that could be left out of a checkpoint unnoticed would be a hole in the test above: each tensor
  // changes over a step.
  const auto options = run("float32");
  Trainer trainer(*options, comm_, data_);
  const State before = state_of(trainer);
  advance(trainer, 2);
  const State after = state_of(trainer);
  for (const auto& [name, tensor] : before.tensors) {
    if (name == "D.judge.bias")
      continue;  // a Wasserstein loss does not see it: it cancels between real and fake
    EXPECT_FALSE(torch::equal(tensor, after.tensors.at(name))) << name;
  }
  for (const auto& [name, number] : before.numbers) EXPECT_NE(number, after.numbers.at(name)) << name;
}

TEST_P(Systems, APhaseMovesItsPlayerAndNothingElse) {
  const auto options = run();
  System system = options->build(data_->schema(), {comm_, 3, torch::kDouble});
  for (const Phase& phase : system.phases()) system.only(*phase.player);
  std::set<const Player*> players;
  for (const Phase& phase : system.phases()) players.insert(phase.player);
  Stats stats;
  Step step({.seed = 3, .purpose = "test", .step = 0, .samples = {0, 4}, .dtype = torch::kDouble}, 0, stats);
  const Batch raw = data_->read({0, 1, 2, 3});
  step.batch = {{"image", raw["image"].to(torch::kDouble) / 127.5 - 1}, {"label", raw["label"]}};
  for (const Phase& phase : system.phases()) {
    system.only(*phase.player);
    for (const Player* player : players) const_cast<Player*>(player)->replica.zero_grad();
    phase.loss(step).backward();
    for (const Player* player : players) {
      const bool moved = const_cast<Player*>(player)->replica.gradients().abs().sum().item<double>() > 0;
      EXPECT_EQ(moved, player == phase.player) << "phase " << phase.name << ", player " << player->name;
    }
  }
}

TEST_P(Systems, SamplesMatchTheSchemaAndTheSeed) {
  const auto options = run("float32");
  Trainer trainer(*options, comm_, data_);
  advance(trainer, 1);
  System& system = trainer.system();
  const auto sample = [&](uint64_t seed, Range range, bool raw) {
    Sampling sampling({.seed = seed, .purpose = "sample", .step = 0, .samples = range}, {}, raw);
    if (system.classes > 0) sampling.y = torch::zeros({range.count}, torch::kLong);
    return system.draw(sampling)["image"];
  };
  const torch::Tensor x = sample(1, {0, 6}, false);
  EXPECT_EQ(x.sizes(), (std::vector<int64_t>{6, 1, 16, 16}));
  EXPECT_LE(x.abs().max().item<float>(), 1.0F);
  EXPECT_FALSE(x.requires_grad());
  EXPECT_TRUE(torch::equal(x, sample(1, {0, 6}, false)));
  EXPECT_FALSE(torch::equal(x, sample(2, {0, 6}, false)));
  EXPECT_FALSE(torch::equal(x, sample(1, {0, 6}, true))) << "raw and averaged weights give the same samples";
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const SystemEntry& entry : systems()) all.push_back(entry.name);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Registry, Systems, testing::ValuesIn(names()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(Trainer, ABatchThatDoesNotDivideIntoItsPartsIsRefused) {
  saddle::Run run;
  run.resolve("system = \"gan\"", "test", {"batch=7", "accumulate=2"});
  EXPECT_THROW(Trainer(run, test::world().comm("cpu"), test::images(kSamples)), Error);
}

}  // namespace
}  // namespace saddle
