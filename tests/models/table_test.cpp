// The table itself: what players, phases, copies, kept and frozen state do, on systems made for the purpose.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "dist/error.h"
#include "dist/safetensors.h"
#include "launch/engine/optimise.h"
#include "models/blocks/batch_norm.h"
#include "models/blocks/layers.h"
#include "models/system.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

using torch::Tensor;

// x w + b.
struct Affine final : Network {
  explicit Affine(Maker& make) { layer = child("layer", std::make_shared<Linear>(make, 1, 1)); }
  Output forward(const Input& in) override {
    return {layer->forward(in.draw ? in.x + in.draw->noise({1}) : in.x), {{"twice", 2 * in.x}}};
  }
  std::shared_ptr<Linear> layer;
};

std::shared_ptr<Network> affine(Maker& make) {
  return std::make_shared<Affine>(make);
}

struct Fails final : Network {
  explicit Fails(Maker& make) { layer = child("layer", std::make_shared<Linear>(make, 1, 1)); }
  Output forward(const Input&) override { fail(Exit::bug, "no"); }
  std::shared_ptr<Linear> layer;
};

class Table : public testing::Test {
 protected:
  Comm comm_ = test::world().comm("cpu");
  Stats stats_;
  Context context() const {
    return {.comm = comm_, .seed = 1, .dtype = torch::kDouble, .part = 4 * comm_.size(), .steps = 10};
  }
  Step step(int64_t number = 0) {
    const Range mine{4 * comm_.rank(), 4};
    return Step({.seed = 1, .purpose = "test", .step = number, .samples = mine, .dtype = torch::kDouble},
                number, stats_);
  }
  std::vector<Part> parts(int count = 1) const {
    std::vector<Part> all;
    for (int i = 0; i < count; ++i)
      all.push_back({.batch = {}, .samples = {4 * comm_.rank(), 4}, .share = 1.0 / count / comm_.size()});
    return all;
  }
  // One step of every phase that is due.
  void run(System& system, int64_t number = 0, int count = 1) {
    Step now = step(number);
    system.begin_step(number);
    for (const Phase& phase : system.phases())
      if (phase.due(number)) optimise(system, phase, now, parts(count));
    system.end_step();
  }
  static Tensor weight_of(const Net& net, bool raw = true) { return net.parameters(raw)[0].second; }
  static std::vector<std::string> names_of(System& system) {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : collect([&](StateVisitor& v) { system.visit(v); }).tensors)
      names.push_back(name);
    return names;
  }
};

// Frozen nets and dropout would train on after the first picture; so would all after one that failed.
TEST_F(Table, DrawingLeavesEachNetInItsMode) {
  System system(context());
  const Net a = system.net("A", affine), b = system.net("B", affine),
            fails = system.net("F", [](Maker&make) { return std::make_shared<Fails>(make); });
  a.live->train(false);
  bool failing = false;
  system.sample = [&](Sampling& s) {
    EXPECT_FALSE(b.live->training());
    return Batch{{"x", s.run(failing ? fails : b, s.normal({1}))}};
  };
  const auto draw = [&] {
    Sampling sampling({.purpose = "sample", .samples = {0, 3}, .dtype = torch::kDouble}, {}, true);
    return system.draw(sampling);
  };
  for (const bool now : {false, true}) {
    failing = now;
    if (now) {
      EXPECT_THROW(draw(), Error);
    } else {
      EXPECT_NO_THROW(draw());
    }
    EXPECT_FALSE(a.live->training());
    EXPECT_TRUE(b.live->training());
  }
}

// Samples go through what the net is given: lower arithmetic, noise that exports leave out.
TEST_F(Table, SamplesAreDrawnInTheContextsArithmetic) {
  Context low = context();
  low.dtype = torch::kFloat;
  low.arithmetic = torch::kBFloat16;
  System system(low);
  const Net net = system.net("G", affine);
  system.sample = [=](Sampling& s) { return Batch{{"x", s.run(net, s.normal({1}))}}; };
  Sampling sampling({.purpose = "sample", .samples = {0, 5}, .noise = false}, {}, true);
  const Tensor x = system.draw(sampling)["x"];
  EXPECT_EQ(x.scalar_type(), torch::kFloat);
  EXPECT_TRUE(torch::equal(x, x.to(torch::kBFloat16).to(torch::kFloat))) << "not computed in bfloat16";
}

TEST_F(Table, TheAverageMovesOnceAStepWhateverTheRows) {
  System system(context());
  Net g = system.net("G", affine);
  Player& player = system.player("g", {g}, AdamOptions{.lr = 0.1});
  system.average(g, {.decay = 0.5});
  const Net other = system.shadow(g, "slow", {.half_life = static_cast<double>(4 * comm_.size())});
  for (const char* name : {"one", "two", "three"})
    system.phase(
        {.name = name, .players = {&player}, .loss = [=](Step& s) { return g({s.normal({1})}).x.mean(); }});
  const Tensor before = weight_of(g).detach().clone();
  run(system);
  const Tensor after = weight_of(g).detach();
  EXPECT_FALSE(torch::equal(before, after));
  EXPECT_LE((weight_of(g, false) - (0.1 * before + 0.9 * after)).abs().max().item<double>(), 1e-12)
      << "min(0.5, 1/10)";
  EXPECT_LE((weight_of(other) - (before + after) / 2).abs().max().item<double>(), 1e-12) << "one half-life";
  EXPECT_THAT(names_of(system),
              testing::IsSupersetOf({"average.G.layer.weight", "shadow.slow.layer.weight"}));
}

// Cadence and weight are two things.
TEST_F(Table, ARowIsScaledByItsWeightAlone) {
  const auto moved = [&](int64_t every, double weight) {
    System system(context());
    const Net g = system.net("G", affine);
    Player& player =
        system.player("g", {g}, RmsPropOptions{.lr = 1, .alpha = 0, .eps = 1e6});  // all but plain descent
    system.phase({.name = "G",
                  .players = {&player},
                  .loss =
                      [=](Step&) {
                        return g({torch::ones({4, 1}, torch::kDouble)}).x.mean();
                      },
                  .every = every,
                  .weight = weight});
    const Tensor before = weight_of(g).detach().clone();
    run(system);
    return (before - weight_of(g).detach()).item<double>() * 1e6;
  };
  EXPECT_NEAR(moved(1, 1), 1, 1e-4);
  EXPECT_NEAR(moved(5, 1), 1, 1e-4);
  EXPECT_NEAR(moved(5, 5), 5, 1e-4);
}

TEST_F(Table, SeveralPlayersLearnFromOneRowAndTheOthersStay) {
  System system(context());
  const Net a = system.net("A", affine), b = system.net("B", affine), c = system.net("C", affine);
  Player &pa = system.player("a", {a}, AdamOptions{.lr = 0.1}),
         &pb = system.player("b", {b}, AdamOptions{.lr = 0.1});
  system.player("c", {c}, AdamOptions{.lr = 0.1});
  system.phase({.name = "both", .players = {&pa, &pb}, .loss = [=](Step& s) {
                  return c({b({a({s.normal({1})})})}).x.square().mean();
                }});
  const Tensor before = torch::stack({weight_of(a), weight_of(b), weight_of(c)}).detach().clone();
  run(system);
  const Tensor change =
      (torch::stack({weight_of(a), weight_of(b), weight_of(c)}).detach() - before).flatten();
  EXPECT_NE(change[0].item<double>(), 0);
  EXPECT_NE(change[1].item<double>(), 0);
  EXPECT_EQ(change[2].item<double>(), 0);
}

TEST_F(Table, ARowThatIsSkippedOnTheDeviceChangesNothing) {
  for (const double skip : {0.0, 1.0}) {
    System system(context());
    const Net g = system.net("G", affine);
    Player& player = system.player("g", {g}, AdamOptions{.lr = 0.1});
    system.phase({.name = "G",
                  .players = {&player},
                  .loss = [=](Step& s) { return g({s.normal({1})}).x.mean(); },
                  .skip = [=] { return torch::full({1}, skip); }});
    const Tensor before = weight_of(g).detach().clone();
    run(system);
    EXPECT_EQ(torch::equal(before, weight_of(g).detach()), skip == 1);
  }
}

// What a loss adds up over parts and ranks reaches the work once.
TEST_F(Table, WorkSeesTheSumsOfAllPartsAndRanksOnceAStep) {
  System system(context());
  const Net g = system.net("G", affine);
  Player& player = system.player("g", {g}, AdamOptions());
  const Tensor seen = system.keep("seen", torch::zeros({2}, torch::kDouble));
  auto sums = std::make_shared<SumOverStep>(comm_, 1);
  system.phase({.name = "G",
                .players = {&player},
                .loss =
                    [=](Step& s) {
                      sums->add(torch::full({1}, static_cast<double>(s.count())));
                      return g({s.normal({1})}).x.mean();
                    },
                .work =
                    [=](Step&) {
                      Tensor kept = seen;
                      kept[0] += sums->take("sum")[0];
                      kept[1] += 1;
                    }});
  run(system, 0, /*count=*/3);
  run(system, 1, /*count=*/3);
  EXPECT_EQ(seen[0].item<double>(), 2 * 3 * 4 * comm_.size());
  EXPECT_EQ(seen[1].item<double>(), 2);
}

TEST_F(Table, RowsWithoutPurposeAreRefused) {
  System system(context());
  EXPECT_THROW(system.phase({.name = "nothing"}), Error);
  EXPECT_THROW(system.phase({.name = "nobody", .loss = [](Step&) { return Tensor(); }}), Error);
}

TEST_F(Table, KeptStateIsVisitedWholeOrWithItsOwner) {
  System system(context());
  const Net g = system.net("G", affine), d = system.net("D", affine);
  system.player("g", {g}, AdamOptions());
  system.player("d", {d}, AdamOptions());
  system.keep("all", torch::ones({1}));
  const Tensor mine = system.keep("mine", torch::ones({1}), "D");
  const auto rows = system.keep_rows("rows", torch::zeros({0, 2}), "G");
  EXPECT_THAT(names_of(system), testing::IsSupersetOf({"keep.all", "keep.mine", "keep.rows"}));
  std::vector<std::string> of_g;
  for (const auto& [name, tensor] : collect([&](StateVisitor& v) { system.visit(v, {"G"}); }).tensors)
    of_g.push_back(name);
  EXPECT_THAT(of_g, testing::Contains("keep.rows"));
  EXPECT_THAT(of_g, testing::Not(testing::Contains("keep.mine")));
  EXPECT_THAT(of_g, testing::Not(testing::Contains("keep.all")));
  // Restored in place, and to the length it had.
  *rows = torch::ones({3, 2});
  State saved = collect([&](StateVisitor& v) { system.visit(v); });
  for (auto& [name, tensor] : saved.tensors) tensor = tensor.clone();
  Tensor(mine).fill_(5);
  *rows = torch::zeros({1, 2});
  restore([&](StateVisitor& v) { system.visit(v); }, saved);
  EXPECT_EQ(mine.item<float>(), 1);
  EXPECT_TRUE(torch::equal(*rows, torch::ones({3, 2})));
}

TEST_F(Table, AFrozenNetIsKeptByTheHashOfItsFile) {
  const std::string folder = testing::TempDir() + fmt::format("/frozen_{}_{}", getpid(), comm_.rank());
  std::filesystem::create_directories(folder);
  const auto file = [&](double value) {
    const std::string path = fmt::format("{}/{}.safetensors", folder, value);
    write_safetensors(path, {{"layer.weight", torch::full({1, 1}, value, torch::kDouble)},
                             {"layer.bias", torch::zeros({1}, torch::kDouble)}});
    return path;
  };
  const auto with = [&](const std::string& path) {
    auto system = std::make_unique<System>(context());
    const Net g = system->net("G", affine);
    system->player("g", {g}, AdamOptions());
    const Net f = system->frozen("F", affine, path);
    EXPECT_TRUE(f.live->parameters().empty());
    EXPECT_FALSE(f.live->training());
    return std::pair(std::move(system), f({torch::ones({1, 1}, torch::kDouble)}).x.item<double>());
  };
  auto [two, of_two] = with(file(2));
  auto [three, of_three] = with(file(3));
  EXPECT_EQ(of_two, 2);
  EXPECT_EQ(of_three, 3);
  const State saved = collect([&, s = two.get()](StateVisitor& v) { s->visit(v); });
  for (const auto& [name, tensor] : saved.tensors)
    EXPECT_FALSE(name.starts_with("F.")) << name << " is copied";
  EXPECT_NO_THROW(restore([&, s = two.get()](StateVisitor& v) { s->visit(v); }, saved));
  try {
    restore([&, s = three.get()](StateVisitor& v) { s->visit(v); }, saved);
    FAIL() << "another frozen net was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, Exit::data);
    EXPECT_THAT(error.what(), testing::HasSubstr("frozen net F"));
  }
  write_safetensors(folder + "/short.safetensors", {{"layer.weight", torch::zeros({1, 2}, torch::kDouble)}});
  EXPECT_THROW(with(folder + "/short.safetensors"), Error);
  std::filesystem::remove_all(folder);
}

TEST_F(Table, ANetGivesSeveralOutputsAndIsReachedItself) {
  System system(context());
  const Net g = system.net("G", affine);
  const Tensor x = torch::ones({2, 1}, torch::kDouble);
  EXPECT_TRUE(torch::equal(g({x}).more["twice"], 2 * x));
  EXPECT_EQ(&g.as<Affine>().layer->weight, &g.as<Affine>().layer->weight);
  EXPECT_THROW(g.as<Fails>(), std::bad_cast);
}

TEST_F(Table, RatesFollowTheirSchedule) {
  System system(context());
  const Net g = system.net("G", affine);
  Player& player =
      system.player("g", {g}, AdamOptions{.lr = 1, .schedule = {.shape = "linear", .final = 0.5, .hold = 2}});
  system.phase(
      {.name = "G", .players = {&player}, .loss = [=](Step& s) { return g({s.normal({1})}).x.mean(); }});
  for (const auto& [step, rate] : {std::pair{0, 1.0}, {2, 1.0}, {6, 0.75}, {10, 0.5}, {20, 0.5}}) {
    system.begin_step(step);
    EXPECT_DOUBLE_EQ(system.learning_rates()[0].second, rate) << step;
  }
  // Adam's first step is by the rate, whatever the gradient.
  const Tensor before = weight_of(g).detach().clone();
  run(system, 10);
  EXPECT_NEAR((before - weight_of(g).detach()).abs().item<double>(), 0.5, 1e-6);
}

TEST(Draw, SharedNumbersAreOneDrawForTheGlobalBatch) {
  const auto draw = [](Range samples, int64_t step = 0) {
    return Draw({.seed = 1, .purpose = "test", .step = step, .samples = samples});
  };
  Draw first = draw({0, 3}), second = draw({3, 5}), later = draw({0, 3}, 1);
  const Tensor a = first.shared({2}), b = second.shared({2});
  EXPECT_EQ(a.sizes(), (std::vector<int64_t>{2}));
  EXPECT_TRUE(torch::equal(a, b));
  EXPECT_FALSE(torch::equal(a, later.shared({2})));
  EXPECT_FALSE(torch::equal(a, first.shared({2}))) << "each call is a stream of its own";
  EXPECT_EQ(first.shared().dim(), 0);
}

TEST(Draw, AValueFollowsTheStepAlsoWhenItIsReplayed) {
  const auto of = [](int64_t step) { return 0.5 * static_cast<double>(step); };
  Draw first({.purpose = "test", .step = 3, .samples = {0, 2}});
  Tensor value;
  const Tape tape = first.record([&] { value = first.value(of); });
  EXPECT_EQ(value.item<float>(), 1.5F);
  Draw later({.purpose = "test", .step = 4, .samples = {0, 2}});
  later.refill(tape);
  EXPECT_EQ(value.item<float>(), 2.0F) << "in the captured step's own tensor";
}

TEST(Draw, NoiseIsZeroWhereItIsNotWanted) {
  const Draw::Where where{.seed = 1, .purpose = "test", .samples = {0, 4}};
  Draw::Where silent = where, replayed = where;
  silent.noise = false;
  replayed.replay = [](at::IntArrayRef shape) { return torch::ones(shape); };
  EXPECT_GT(Draw(where).noise({3}).abs().min().item<float>(), 0);
  EXPECT_EQ(Draw(silent).noise({3}).abs().max().item<float>(), 0);
  EXPECT_EQ(Draw(replayed).noise({3}).abs().max().item<float>(), 0);
  EXPECT_EQ(Draw(replayed).normal({3}).min().item<float>(), 1);
}

}  // namespace
}  // namespace saddle
