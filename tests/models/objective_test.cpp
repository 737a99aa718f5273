// Losses, terms and techniques in all combinations, on any number of ranks.
#include "models/objective.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "dist/error.h"
#include "launch/engine/trainer.h"
#include "tests/support/tiny.h"
#include "tests/support/trained.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

using test::digest_of;
using test::state_of;

using testing::HasSubstr;
using Sets = std::vector<std::string>;

// Nets of which a discriminator is judged sample by sample: a perceptron, convolutions, R3GAN's.
struct House {
  std::string name, system;
  Sets sets;
};
const std::vector<House>& houses() {
  static const std::vector<House> all = {
      {"perceptron", "gan-ns", test::tiny_sets("gan-ns", {})},
      {"convolutional", "dcgan", test::tiny_sets("dcgan", {"d.norm=instance", "g.norm=instance"})},
      {"r3gan", "r3gan", test::tiny_sets("r3gan", {"r1=0", "r2=0"})}};
  return all;
}

class Objectives : public testing::Test {
 protected:
  Comm comm_ = test::world().comm("cpu");
  std::shared_ptr<Dataset> data_ = test::images(50);

  static std::unique_ptr<saddle::Run> run(const std::string& system, Sets sets) {
    auto run = std::make_unique<saddle::Run>();
    sets.insert(sets.begin(), {"batch=8", "precision=float64", "seed=3"});
    run->resolve("system = \"" + system + "\"", "test", sets);
    return run;
  }
  // Two steps: the ranks together are one rank, all is finite, and a resumed run is the unbroken one.
  void expect_sound(const std::string& system, const Sets& sets) {
    const auto options = run(system, sets);
    Trainer together(*options, comm_, data_), resumed(*options, comm_, data_);
    together.step();
    const State half = state_of(together);
    together.step();
    for (const Moments& m : together.stats().tick(comm_)) EXPECT_TRUE(std::isfinite(m.mean)) << m.name;
    restore([&](StateVisitor& v) { resumed.visit(v); }, half);
    resumed.step();
    EXPECT_EQ(digest_of(resumed), digest_of(together));
    if (comm_.size() == 1) return;
    Trainer alone(*options, World::alone(), data_);
    alone.step();
    alone.step();
    const State a = state_of(together), b = state_of(alone);
    for (const auto& [name, tensor] : a.tensors)
      EXPECT_LE(test::largest_difference(tensor, b.tensors.at(name)), 1e-9) << name;
  }
  static std::string error_of(const std::string& system, const Sets& sets, const Schema& schema,
                              Context context) {
    try {
      run(system, sets)->build(schema, std::move(context));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind, Exit::usage);
      return error.what();
    }
    return "";
  }
};

const std::vector<Sets>& techniques() {
  static const std::vector<Sets> all = {
      {}, {"instance_noise=0.1"}, {"pac=2"}, {"top_k=0.5", "top_k.decay=0.5"}};
  return all;
}

// Of the perceptron every loss with every term and every technique; of the others every pair of the three, the third in
// turn. In whole batches and in parts.
class EachLoss : public Objectives, public testing::WithParamInterface<std::string> {
 protected:
  void expect_sound_with(const House& house, size_t term, const Sets& technique) {
    Sets sets = house.sets;
    sets.push_back("loss=" + GetParam());
    sets.insert(sets.end(), technique.begin(), technique.end());
    const bool with = term < terms().size();
    if (with) sets.push_back(terms()[term].key + "=0.3");
    // One after the other, so that each occurs with some of the rest: parts, a lazy row.
    const size_t turn = term + technique.size();
    if (turn % 2 == 1 && !technique.empty()) sets.emplace_back("accumulate=2");
    if (turn % 3 == 1 && with && terms()[term].lazy) sets.push_back(terms()[term].key + ".every=2");
    if (comm_.size() == 4 && technique == Sets{"pac=2"}) sets.emplace_back("batch=16");
    SCOPED_TRACE(fmt::format("{}: {}", house.name, fmt::join(sets, " ")));
    expect_sound(house.system, sets);
  }
};

TEST_P(EachLoss, CombinesWithEveryTermAndTechniqueOnEveryRank) {
  const std::vector<std::string> names = adversarial_loss_names();
  const auto loss = static_cast<size_t>(std::find(names.begin(), names.end(), GetParam()) - names.begin());
  for (const House& house : houses())
    for (size_t t = 0; t <= terms().size(); ++t)
      for (size_t k = 0; k < techniques().size(); ++k)
        if (house.name == "perceptron" || t == terms().size() || k == (t + loss) % techniques().size())
          expect_sound_with(house, t, techniques()[k]);
}

INSTANTIATE_TEST_SUITE_P(Losses, EachLoss, testing::ValuesIn(adversarial_loss_names()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST_F(Objectives, AllTermsAtOnceAndASmoothedLabel) {
  expect_sound("gan-ns",
               {"g.width=4", "d.width=4", "latent=6", "gp=1", "r1=1", "r2=1", "dragan=1", "lecam=0.1",
                "lecam2=0.1", "d.clip=1", "label_smoothing=0.1", "r1.every=2", "instance_noise=0.1"});
}

TEST_F(Objectives, WhatMakesNoSenseIsRefusedBeforeTheFirstStep) {
  const Schema schema = data_->schema();
  const auto refusal = [&](const std::string& system, const Sets& sets, int64_t part = 8) {
    return error_of(system, sets, schema, {.comm = comm_, .part = part});
  };
  for (const Term& term : terms())
    if (term.per_sample) {
      EXPECT_THAT(refusal("dcgan", {term.key + "=1"}),
                  testing::AllOf(HasSubstr("batch norm of D"), HasSubstr(term.key)));
    } else {
      EXPECT_EQ(refusal("dcgan", {term.key + "=1"}), "") << term.key;
    }
  EXPECT_THAT(refusal("gan-ns", {"pac=3"}), HasSubstr("pac = 3"));
  EXPECT_THAT(refusal("cgan", {"pac=2"}, 8 * comm_.size()), HasSubstr("different labels"));
  EXPECT_THAT(refusal("dcgan", {"label_smoothing=0.1", "loss=hinge"}), HasSubstr("label_smoothing"));
  EXPECT_EQ(refusal("dcgan", {"label_smoothing=0.1"}), "");
}

// Weights after some steps where `every` splits a term off, and where it does not: cadence alone scales
// nothing, a lazy term's row is as many times as strong.
TEST_F(Objectives, ALazyTermIsAsStrongOnAverage) {
  const auto options = run("gan-ns", {"r1=2", "r1.every=4"});
  const System system = options->build(data_->schema(), {.comm = comm_});
  ASSERT_EQ(system.phases().size(), 3U);
  EXPECT_EQ(system.phases()[1].name, "D r1");
  EXPECT_EQ(system.phases()[1].every, 4);
  EXPECT_EQ(system.phases()[1].weight, 4);
  EXPECT_EQ(system.phases()[0].weight, 1);
}

// The averages move once a step by the mean of the whole batch, whatever its parts and ranks.
TEST_F(Objectives, LecamsAveragesAreThoseOfTheGlobalBatch) {
  const auto averages = [&](const Sets& more, const Comm& comm) {
    Sets sets{"g.width=4", "d.width=4", "latent=6", "lecam=1", "lecam.decay=0.5", "g.lr=0", "d.lr=0"};
    sets.insert(sets.end(), more.begin(), more.end());
    const auto options = run("gan-ns", sets);
    Trainer trainer(*options, comm, data_);
    for (int i = 0; i < 3; ++i) trainer.step();
    return state_of(trainer).tensors.at("keep.lecam.D");
  };
  const torch::Tensor whole = averages({}, World::alone());
  EXPECT_EQ(whole[2].item<double>(), 3);
  EXPECT_LE((averages({}, comm_) - whole).abs().max().item<double>(), 1e-12);
  EXPECT_LE((averages({"accumulate=2"}, comm_) - averages({"accumulate=2"}, World::alone()))
                .abs()
                .max()
                .item<double>(),
            1e-12);
  EXPECT_EQ(averages({"accumulate=2"}, comm_)[2].item<double>(), 3);
}

}  // namespace
}  // namespace saddle
