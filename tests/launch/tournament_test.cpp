// Trainers that meet: who meets whom, what they exchange, and who goes on with what.
#include "launch/train/tournament.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "dist/error.h"
#include "launch/engine/trainer.h"
#include "tests/support/tiny.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

TEST(Matching, PairsTrainersAtRandomByRoundAndLeavesOneOfAnOddNumberOut) {
  for (const int trainers : {1, 2, 3, 4, 7}) {
    std::set<std::vector<int>> seen;
    std::vector<int> rounds_out(trainers);
    for (int64_t round = 0; round < 60; ++round) {
      const std::vector<int> partners = matching(5, round, trainers);
      EXPECT_EQ(partners, matching(5, round, trainers));
      seen.insert(partners);
      int out = 0;
      for (int t = 0; t < trainers; ++t) {
        EXPECT_EQ(partners[partners[t]], t);
        out += partners[t] == t;
        rounds_out[t] += partners[t] == t;
      }
      EXPECT_EQ(out, trainers % 2);
    }
    EXPECT_EQ(seen.size() == 1, trainers < 3);
    if (trainers % 2 == 1) {
      EXPECT_GT(*std::min_element(rounds_out.begin(), rounds_out.end()), 0);
    }
  }
  std::vector<std::vector<int>> a, b;
  for (int64_t round = 0; round < 10; ++round) {
    a.push_back(matching(1, round, 7));
    b.push_back(matching(2, round, 7));
  }
  EXPECT_NE(a, b);
}

TEST(Metrics, NothingIsWorseThanNan) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const bool higher : {false, true}) {
    const Metric metric{.name = "", .higher_is_better = higher};
    EXPECT_EQ(metric.better(2, 1), higher);
    EXPECT_EQ(metric.better(1, 2), !higher);
    EXPECT_FALSE(metric.better(1, 1));
    EXPECT_TRUE(metric.better(1, nan));
    EXPECT_FALSE(metric.better(nan, 1));
    EXPECT_FALSE(metric.better(nan, nan));
  }
}

TEST(Exchange, StateTravelsBitForBitWhateverItsTypes) {
  const Comm comm = test::world().comm("cpu");
  State mine;
  const int64_t me = comm.rank();
  mine.tensors = {{"a", torch::full({3}, 200 + me, torch::kByte)},
                  {"b", torch::full({2, 3}, 0.1 + static_cast<double>(me), torch::kDouble).t()},
                  {"c", torch::full({}, 0.1 + static_cast<double>(me), torch::kHalf)},
                  {"d", torch::full({0}, 1.0, torch::kFloat)},
                  {"e", torch::full({5}, (int64_t{1} << 40) + me, torch::kLong)}};
  mine.numbers = {{"n", me}, {"x", 0.1 * static_cast<double>(me)}};
  for (int root = 0; root < comm.size(); ++root) {
    const State theirs = state_of(comm, root, mine);
    EXPECT_EQ(theirs.numbers.at("n"), root);
    EXPECT_EQ(theirs.numbers.at("x").get<double>(), 0.1 * root);
    ASSERT_EQ(theirs.tensors.size(), mine.tensors.size());
    for (const auto& [name, tensor] : mine.tensors) {
      const torch::Tensor& got = theirs.tensors.at(name);
      EXPECT_EQ(got.scalar_type(), tensor.scalar_type()) << name;
      EXPECT_EQ(got.sizes(), tensor.sizes()) << name;
      if (root == me) {
        EXPECT_TRUE(got.equal(tensor)) << name;
      }
    }
    EXPECT_TRUE(theirs.tensors.at("e").eq((int64_t{1} << 40) + root).all().item<bool>());
    EXPECT_TRUE(theirs.tensors.at("b").eq(torch::full({}, 0.1 + root, torch::kDouble)).all().item<bool>());
  }
}

// One trainer of some, each with a seed of its own, some steps into its training.
class Trainers : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    const Comm host = test::world().comm("cpu");
    if (host.size() % GetParam() != 0) GTEST_SKIP() << "needs a multiple of " << GetParam() << " ranks";
    teams_.emplace(divide(host, host, GetParam()));
  }

  void start(const std::string& system, const std::string& precision = "float32") {
    run_ = std::make_unique<saddle::Run>();
    run_->resolve("system = \"" + system + "\"", "test",
                  test::tiny_sets(system, {"batch=8", "precision=" + precision,
                                           fmt::format("seed={}", 3 + teams_->mine)}));
    data_ = test::tiny_data(system);
    trainer_ = std::make_unique<Trainer>(*run_, teams_->comm, data_);
    for (int i = 0; i < 3; ++i) trainer_->step();
  }

  State state() {
    State state = collect([&](StateVisitor& v) { trainer_->visit(v); });
    for (auto& [name, tensor] : state.tensors) tensor = tensor.clone();
    return state;
  }
  static bool same(const State& a, const State& b, const std::string& name) {
    if (a.numbers.contains(name)) return a.numbers.at(name) == b.numbers.at(name);
    return a.tensors.at(name).equal(b.tensors.at(name));
  }
  static std::set<std::string> names(const State& state) {
    std::set<std::string> all;
    for (const auto& [name, tensor] : state.tensors) all.insert(name);
    for (const auto& [name, number] : state.numbers) all.insert(name);
    return all;
  }
  // What travels: state of the nets that samples are drawn with, and of those that learn with them.
  bool of_generator(const std::string& name) {
    System& system = trainer_->system();
    const State state = collect([&](StateVisitor& v) { system.visit(v, system.generator()); });
    return state.tensors.contains(name) || state.numbers.contains(name);
  }
  // Every weight of the generator and of its average times `factor`.
  void scale_generator(double factor) {
    at::NoGradGuard no_grad;
    const State live = collect([&](StateVisitor& v) { trainer_->visit(v); });
    for (auto [name, tensor] : live.tensors)
      if (name.starts_with("G") || name.starts_with("average.G"))
        if (tensor.is_floating_point()) tensor.mul_(factor);
  }
  // The mean square of samples: the smaller the better.
  struct MeanSquare final : Meter {
    explicit MeanSquare(const Comm& comm) : comm(comm) {}
    void add(const Piece& piece) override {
      const torch::Tensor x = (*piece.samples.begin()).second.to(torch::kDouble);
      sums += torch::stack({x.square().sum(), torch::full({}, double(x.numel()), torch::kDouble)});
    }
    nlohmann::json result() override {
      const torch::Tensor all = sum_of_all_ranks(sums, comm, "mean square");
      return {{"small", (all[0] / all[1]).item<double>()}};
    }
    Comm comm;
    torch::Tensor sums = torch::zeros({2}, torch::kDouble);
  };
  static Metric small() {
    return {.name = "small", .key = "small", .prepare = [](const MetricContext& c) {
              return [comm = c.comm] { return std::make_unique<MeanSquare>(comm); };
            }};
  }
  struct Alike final : Meter {
    void add(const Piece&) override {}
    nlohmann::json result() override { return {{"alike", 1.0}}; }
  };
  static Metric alike() {
    return {.name = "alike", .key = "alike", .higher_is_better = true, .prepare = [](const MetricContext&) {
              return [] { return std::make_unique<Alike>(); };
            }};
  }
  Tournament tournament(Metric metric) {
    MetricContext context{
        .comm = teams_->comm, .data = data_, .system = &trainer_->system(), .samples = 64, .batch = 8};
    return {*teams_,
            trainer_->system(),
            Measurement({std::move(metric)}, std::move(context)),
            {.every = 1, .seed = 3}};
  }

  std::shared_ptr<Dataset> data_;
  std::optional<Teams> teams_;
  std::unique_ptr<saddle::Run> run_;
  std::unique_ptr<Trainer> trainer_;
};

TEST_P(Trainers, AreTheRanksInOrder) {
  const Comm host = test::world().comm("cpu");
  const int size = host.size() / teams_->count;
  EXPECT_EQ(teams_->mine, host.rank() / size);
  EXPECT_EQ(teams_->host.size(), size);
  EXPECT_EQ(teams_->host.rank(), host.rank() % size);
  EXPECT_EQ(teams_->across.size(), teams_->count);
  EXPECT_EQ(teams_->across.rank(), teams_->mine);
}

TEST_P(Trainers, TheLoserTakesTheGeneratorOfTheWinnerAndNothingElse) {
  for (const SystemEntry& entry : systems()) {
    start(entry.name, entry.name == "gan" ? "float16" : "float32");
    scale_generator(std::pow(0.5, teams_->mine));  // the last trainer has the smallest samples
    const State mine = state();
    std::vector<State> before;
    for (int t = 0; t < teams_->count; ++t) before.push_back(state_of(teams_->across, t, mine));
    Tournament tournament = this->tournament(small());
    const Tournament::Round round = tournament.play(3);
    EXPECT_EQ(round.number, 3);
    EXPECT_EQ(round.partner, matching(3, 3, teams_->count)[teams_->mine]);
    // A classifier's samples are probabilities, which do not shrink with its weights: its own scores decide.
    const bool shrinks = trainer_->system().find("G").has_value();
    const bool loses = shrinks ? round.partner > teams_->mine : round.partners < round.own;
    EXPECT_EQ(round.takes, loses);
    if (round.partner != teams_->mine) {
      EXPECT_EQ(round.partners < round.own, loses) << round.own << " " << round.partners;
    }
    const State after = state();
    int moved = 0;
    for (const std::string& name : names(after)) {
      const bool moves = loses && of_generator(name);
      EXPECT_TRUE(same(after, moves ? before[round.partner] : mine, name)) << entry.name << " " << name;
      moved += of_generator(name) && (teams_->count == 1 || !same(before[0], before[1], name));
    }
    if (teams_->count > 1) {
      EXPECT_GT(moved, 3) << entry.name;  // they differed, else this proves nothing
    }
    trainer_->step();
    // All ranks of a trainer hold the same.
    const std::string digest_of_mine =
        fmt::format("{}", digest([&](StateVisitor& v) { trainer_->visit(v); }));
    for (const auto& other : teams_->host.all_gather_text(digest_of_mine)) EXPECT_EQ(other, digest_of_mine);
  }
}

TEST_P(Trainers, AGeneratorThatHasDivergedLoses) {
  start("gan-ns");
  if (teams_->mine == 0) scale_generator(std::numeric_limits<double>::quiet_NaN());
  const Tournament::Round round = tournament(small()).play(1);
  if (teams_->mine == 0) {
    EXPECT_EQ(round.takes, round.partner != 0);
  }
  if (round.partner == 0 && teams_->mine != 0) {
    EXPECT_FALSE(round.takes);
  }
  if (round.takes) {
    for (const auto& [name, tensor] : state().tensors)
      EXPECT_TRUE(!tensor.is_floating_point() || tensor.isfinite().all().item<bool>()) << name;
  }
}

TEST_P(Trainers, OfEqualGeneratorsNobodyTakesTheOthers) {
  start("gan-ns");
  const State before = state();
  const Tournament::Round round = tournament(alike()).play(1);
  EXPECT_FALSE(round.takes);
  const State after = state();
  for (const std::string& name : names(after)) EXPECT_TRUE(same(before, after, name)) << name;
}

TEST_P(Trainers, StandingNamesTheBestAndChangesNothing) {
  start("gan-ns");
  scale_generator(teams_->mine == teams_->count - 1 ? 0.5 : 1);
  const State before = state();
  const Tournament::Standing standing = tournament(small()).standing();
  EXPECT_EQ(standing.best, teams_->count - 1);
  EXPECT_EQ(standing.scores.size(), static_cast<size_t>(teams_->count));
  const State after = state();
  for (const std::string& name : names(after)) EXPECT_TRUE(same(before, after, name)) << name;
}

INSTANTIATE_TEST_SUITE_P(Tournament, Trainers, testing::Values(1, 2, 3, 4),
                         [](const auto& info) { return "Of" + std::to_string(info.param); });

TEST(Teams, RanksThatDoNotDivideAreAnError) {
  const Comm host = test::world().comm("cpu");
  EXPECT_THROW(divide(host, host, host.size() + 1), Error);
}

}  // namespace
}  // namespace saddle
