// What every registered system must keep, asked of each under mpirun: a newcomer gets these tests by
// registering.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/feed/loader.h"
#include "dist/error.h"
#include "launch/engine/trainer.h"
#include "launch/run/open_data.h"
#include "launch/train/reported.h"
#include "tests/support/tiny.h"
#include "tests/support/trained.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

using test::digest_of;
using test::state_of;

constexpr int64_t kBatch = 8, kSamples = 50;  // the batch crosses an epoch's end in the runs below

class Systems : public testing::TestWithParam<std::string> {
 protected:
  Comm comm_ = test::world().comm("cpu");
  const SystemEntry& entry_ = system_entry(GetParam());
  std::shared_ptr<Dataset> data_ = test::tiny_data(GetParam(), kSamples);

  // Small nets in float64, the system's own losses and optimizers.
  std::unique_ptr<saddle::Run> run(const std::string& precision = "float64",
                                   const std::vector<std::string>& more = {}) const {
    auto run = std::make_unique<saddle::Run>();
    std::vector<std::string> sets{"batch=" + std::to_string(kBatch), "precision=" + precision, "seed=3"};
    sets.insert(sets.end(), entry_.tiny.begin(), entry_.tiny.end());
    sets.insert(sets.end(), more.begin(), more.end());
    run->resolve("system = \"" + GetParam() + "\"", "test", sets);
    return run;
  }
  // Of state that nothing reads again, as its entry says.
  bool idle(const std::string& name) const {
    return std::any_of(entry_.idle.begin(), entry_.idle.end(),
                       [&](const std::string& end) { return name.ends_with(end); });
  }
  // The first samples of what the system is given.
  Batch given(const System& system, int64_t rows) const {
    std::vector<int64_t> indices(static_cast<size_t>(rows));
    std::iota(indices.begin(), indices.end(), 0);
    const Batch read = data_->read(indices);
    Batch given;
    for (const Field& field : system.given)
      given.set(field.name, to_model(read[field.name], torch::kCPU, torch::kFloat));
    return given;
  }
  // The data as they are trained on: with what the system reads besides.
  std::shared_ptr<Dataset> fed(const saddle::Run& run) const { return feed(data_, run.options).data; }
  void expect_equal_on_one_rank(const std::vector<std::string>& sets, int steps);
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
    EXPECT_LE(test::largest_difference(tensor, b.tensors.at(name)), 1e-9) << name;
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
  if (run()->table.has("lecam")) cases.push_back({"lecam=1"});
  if (run()->table.has("d.minibatch_std"))
    cases.push_back({"d.minibatch_std=4"});  // wants more than two samples
  for (const auto& sets : cases) {
    const auto options = run("float32", sets);
    Trainer trainer(*options, comm_, data_);
    advance(trainer, 1);
    std::vector<std::string> names;
    for (const Moments& m : trainer.stats().tick(comm_)) names.push_back(m.name);
    EXPECT_EQ(reported_names(*options, fed(*options)->schema()), names);
    for (const Phase& phase : trainer.system().phases())
      EXPECT_NE(std::find(names.begin(), names.end(), "gradient/" + phase.name), names.end()) << phase.name;
    for (const Net& net : trainer.system().nets())
      if (net.name[0] == 'D') {
        EXPECT_NE(std::find(names.begin(), names.end(), net.name + "/real"), names.end()) << net.name;
        EXPECT_NE(std::find(names.begin(), names.end(), net.name + "/fake"), names.end()) << net.name;
      }
  }
}

TEST_P(Systems, TakeAsManyStepsOfEachDiscriminatorAsTheyAreTold) {
  if (!run()->table.has("n_critic")) GTEST_SKIP() << "without a discriminator";
  const auto options = run("float32", {"n_critic=3"});
  const System system = options->build(fed(*options)->schema(), options->context(comm_));
  int rows = 0;
  for (const Phase& phase : system.phases())
    if (phase.name.starts_with("D")) {
      EXPECT_EQ(phase.repeat ? phase.repeat(1) : 1, 3) << phase.name;
      ++rows;
    }
  EXPECT_GE(rows, 1);
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
  if (comm_.size() > 1) GTEST_SKIP() << "what a checkpoint holds is the same on any number of ranks";
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
      System& system = second.system();
      Sampling sampling({.seed = 1, .purpose = "sample", .step = 0, .samples = {0, 4}}, given(system, 4),
                        raw);
      for (auto [field, drawn] : system.draw(sampling))
        seen += std::to_string(digest([&](StateVisitor& v) { v.tensor(field, drawn); })) + "\n";
    }
    return seen;
  };
  const auto notice = [&](const std::string& name, const State& less) {
    EXPECT_TRUE(go_on(less, name) != go_on(saved, name))
        << name << " could be left out of a checkpoint unnoticed";
  };
  for (const auto& [name, tensor] : saved.tensors) {
    // Of running statistics only those that samples are drawn with are read again: all other nets always normalize by their
    // batch, and an average takes those of the live net whole at each step.
    const bool running = name.find(".running_") != std::string::npos;
    if (idle(name) || (running && !name.starts_with("G"))) continue;
    State less = saved;
    less.tensors[name] = fresh.tensors.at(name);
    notice(name, less);
  }
  for (const auto& [name, number] : saved.numbers) {
    if (idle(name)) continue;
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
    if (idle(name)) continue;
    EXPECT_FALSE(torch::equal(tensor, after.tensors.at(name))) << name;
  }
  for (const auto& [name, number] : before.numbers) EXPECT_NE(number, after.numbers.at(name)) << name;
}

TEST_P(Systems, APhaseMovesItsPlayerAndNothingElse) {
  const auto options = run();
  const auto data = fed(*options);
  System system = options->build(data->schema(), {comm_, 3, torch::kDouble});
  std::set<Player*> players;
  for (const Phase& phase : system.phases()) players.insert(phase.players.begin(), phase.players.end());
  Stats stats;
  Step step({.seed = 3, .purpose = "test", .step = 0, .samples = {0, 4}, .dtype = torch::kDouble}, 0, stats);
  for (const auto& [name, values] : data->read({0, 1, 2, 3}))
    step.batch.set(name, to_model(values, torch::kCPU, torch::kDouble));
  for (const Phase& phase : system.phases()) {
    if (!phase.loss) continue;
    system.only(phase.players);
    for (Player* player : players) player->replica.zero_grad();
    phase.loss(step).backward();
    for (Player* player : players) {
      const bool moved = player->replica.gradients().abs().sum().item<double>() > 0;
      EXPECT_EQ(moved, std::find(phase.players.begin(), phase.players.end(), player) != phase.players.end())
          << "phase " << phase.name << ", player " << player->name;
    }
  }
}

TEST_P(Systems, SamplesMatchTheSchemaAndTheSeed) {
  const auto options = run("float32");
  Trainer trainer(*options, comm_, data_);
  advance(trainer, 3);
  System& system = trainer.system();
  const auto sample = [&](uint64_t seed, Range range, bool raw) {
    Sampling sampling({.seed = seed, .purpose = "sample", .step = 0, .samples = range},
                      given(system, range.count), raw);
    return system.draw(sampling);
  };
  const Batch samples = sample(1, {0, 6}, false), again = sample(1, {0, 6}, false),
              other = sample(2, {0, 6}, false), raw = sample(1, {0, 6}, true);
  const bool of_latents =
      std::all_of(system.given.begin(), system.given.end(), [](const Field& f) { return f.shape.empty(); });
  const std::vector<Net> nets = system.nets();
  const bool averaged =
      std::any_of(nets.begin(), nets.end(), [](const Net& net) { return net.average != nullptr; });
  for (const auto& [name, x] : samples) {
    EXPECT_EQ(x.size(0), 6);
    if (data_->schema().has(name)) {
      const Field& field = data_->schema()[name];
      if (field.shape.empty()) continue;  // labels
      std::vector<int64_t> shape = field.shape;
      shape.insert(shape.begin(), 6);
      EXPECT_EQ(x.sizes(), shape) << name;
    }
    EXPECT_FALSE(x.requires_grad());
    EXPECT_TRUE(torch::equal(x, again[name])) << name;
    EXPECT_EQ(torch::equal(x, other[name]), !of_latents) << name;
    EXPECT_EQ(torch::equal(x, raw[name]), !averaged)
        << name << ": raw and averaged weights give the same samples";
  }
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
