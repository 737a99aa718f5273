// Steps as graphs (launch/engine/graphs.h), with graphs that a CPU can run: their replay does the captured work
// again, on the memory it was captured with.
#include "launch/engine/graphs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/error.h"
#include "launch/engine/trainer.h"
#include "tests/support/tiny.h"
#include "tests/support/trained.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

using test::digest_of;
using testing::HasSubstr;
using testing::Not;

struct Emulated : Graph {
  Emulated(std::function<void()> work, int& replays) : work(std::move(work)), replays(replays) {}
  void replay() override {
    ++replays;
    work();
  }
  std::function<void()> work;
  int& replays;
};

Capture emulated(int& replays) {
  return [&replays](const std::function<void()>& work) { return std::make_unique<Emulated>(work, replays); };
}

Capture failing(bool here = true) {
  return [here](const std::function<void()>& work) -> std::unique_ptr<Graph> {
    require(!here, Exit::bug, "operation not permitted when stream is capturing");
    static int replays = 0;
    return std::make_unique<Emulated>(work, replays);
  };
}

std::string warnings(const std::function<void()>& work) {
  testing::internal::CaptureStderr();
  work();
  return testing::internal::GetCapturedStderr();
}

// Whole trainings with and without graphs.
class Graphs : public testing::TestWithParam<std::string> {
 protected:
  Comm comm_ = test::world().comm("cpu");
  std::shared_ptr<Dataset> data_ = test::tiny_data(GetParam());  // the batch crosses an epoch's end

  std::unique_ptr<saddle::Run> run(const std::vector<std::string>& more = {}) const {
    auto run = std::make_unique<saddle::Run>();
    std::vector<std::string> sets = test::tiny_sets(GetParam(), {"batch=8", "seed=3"});
    sets.insert(sets.end(), more.begin(), more.end());
    run->resolve("system = \"" + GetParam() + "\"", "test", sets);
    return run;
  }
  static void advance(Trainer& trainer, int steps) {
    for (int i = 0; i < steps; ++i) trainer.step();
  }
  void expect_equal_ticks(Trainer& a, Trainer& b) const {
    const auto ours = a.stats().tick(comm_), theirs = b.stats().tick(comm_);
    ASSERT_EQ(ours.size(), theirs.size());
    for (size_t i = 0; i < ours.size(); ++i) {
      EXPECT_EQ(ours[i].name, theirs[i].name);
      EXPECT_EQ(ours[i].count, theirs[i].count) << ours[i].name;
      EXPECT_EQ(ours[i].mean, theirs[i].mean) << ours[i].name;
      EXPECT_EQ(ours[i].stddev, theirs[i].stddev) << ours[i].name;
    }
  }
  void expect_equal(const std::vector<std::string>& sets) const {
    const auto options = run(sets);
    int replays = 0;
    Trainer plain(*options, comm_, data_), graphs(*options, comm_, data_, emulated(replays));
    for (const int steps : {5, 4}) {  // a tick before and after the captures of all phases
      advance(plain, steps);
      advance(graphs, steps);
      EXPECT_EQ(digest_of(graphs), digest_of(plain));
      expect_equal_ticks(graphs, plain);
    }
    // Each phase replays from its fourth execution on; a phase is executed at least once in 9 steps.
    const auto& phases = graphs.system().phases();
    const bool any =
        std::any_of(phases.begin(), phases.end(), [&](const Phase& phase) { return graphs.captures(phase); });
    EXPECT_GE(replays, any ? 9 - 3 : 0) << "nothing was captured";
  }
};

TEST_P(Graphs, TrainBitForBitAsWithout) {
  expect_equal({});
}

TEST_P(Graphs, AlsoInPartsThatDoNotDivideAmongRanks) {
  expect_equal({"batch=6", "accumulate=2", "nonfinite=skip", "clip=0.1"});
}

TEST_P(Graphs, AlsoWithALossScale) {
  expect_equal({"precision=float16", "channels_last=true"});
}

TEST_P(Graphs, AlsoWithAPhaseThatIsNotAlwaysDue) {
  const auto options = run();
  if (!options->table.has("n_critic") || !options->table.has("d.norm"))
    GTEST_SKIP() << GetParam() << " has no n_critic and d.norm";
  expect_equal({"gp=1", "gp.every=2", "n_critic=2", "d.norm=none"});
}

TEST_P(Graphs, ResumeInTheMidstOfReplays) {
  const auto options = run();
  int replays = 0;
  Trainer plain(*options, comm_, data_), graphs(*options, comm_, data_, emulated(replays)),
      resumed(*options, comm_, data_, emulated(replays));
  advance(plain, 6);
  advance(graphs, 6);
  State saved = collect([&](StateVisitor& v) { graphs.visit(v); });
  for (auto& [name, tensor] : saved.tensors) tensor = tensor.clone();
  advance(resumed, 5);  // what has been captured must not remember this
  restore([&](StateVisitor& v) { resumed.visit(v); }, saved);
  for (Trainer* trainer : {&plain, &graphs, &resumed}) advance(*trainer, 5);
  EXPECT_EQ(digest_of(graphs), digest_of(plain));
  EXPECT_EQ(digest_of(resumed), digest_of(plain));
}

TEST_P(Graphs, APhaseThatCannotBeCapturedRunsWithout) {
  const auto options = run();
  // On the last rank only: all must go on alike.
  Trainer plain(*options, comm_, data_),
      graphs(*options, comm_, data_, failing(comm_.rank() == comm_.size() - 1));
  advance(plain, 7);
  const std::string said = warnings([&] { advance(graphs, 7); });
  EXPECT_EQ(digest_of(graphs), digest_of(plain));
  if (comm_.rank() != 0) return;
  for (const Phase& phase : graphs.system().phases()) {
    if (!graphs.captures(phase)) continue;
    const std::string line = "phase " + phase.name + " runs without a CUDA graph: operation not permitted";
    EXPECT_THAT(said, HasSubstr(line));
    EXPECT_THAT(said.substr(said.find(line) + 1), Not(HasSubstr(line))) << "said twice";
  }
}

TEST_P(Graphs, StateStaysInPlace) {
  // A captured step writes where it wrote when it was captured.
  const auto options = run();
  Trainer trainer(*options, comm_, data_);
  const std::vector<Phase>& phases = trainer.system().phases();
  const bool on_host =
      std::any_of(phases.begin(), phases.end(), [](const Phase& phase) { return phase.on_host; });
  const auto places = [&] {
    std::map<std::string, const void*> all;
    // Pools and tables that grow belong to phases that decide on the host, which are not captured.
    for (const auto& [name, tensor] : collect([&](StateVisitor& v) { trainer.visit(v); }).tensors)
      if (!on_host || !name.starts_with("keep.")) all[name] = tensor.data_ptr();
    return all;
  };
  const auto before = places();
  advance(trainer, 2);
  EXPECT_EQ(places(), before);
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const SystemEntry& entry : systems()) all.push_back(entry.name);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Registry, Graphs, testing::ValuesIn(names()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// One phase by itself, on two parts of a batch: mixes them and draws of numbers into a total.
class OnePhase {
 public:
  explicit OnePhase(Capture capture)
      : graph_("D", test::world().comm("cpu"), std::move(capture),
               [this](Step& step, const std::vector<Part>& parts) { work(step, parts); }) {}

  // A step on parts of `count` samples each.
  void step(int64_t count) {
    Step here({.seed = 1, .purpose = "test", .step = number_, .samples = {0, 1}, .dtype = torch::kDouble},
              number_, stats_);
    here.rewind(here.samples(), number_ % 2);  // as after a phase that is not always due
    graph_.run(here, {part(0, count), part(count, count)});
    seen_.push_back({total_.item<double>(), here.calls()});
    ++number_;
  }
  void steps(const std::vector<int64_t>& counts) {
    for (const int64_t count : counts) step(count);
  }
  // The total after each step, and how many numbers were drawn.
  const std::vector<std::pair<double, int64_t>>& seen() const { return seen_; }
  int64_t numbers = 2;  // a sample's

 private:
  Part part(int64_t first, int64_t count) const {
    const Stream stream(1, "x", static_cast<uint64_t>(number_));
    return {.batch = {{"x", normal(stream, {first, count}, {3}, torch::kDouble)}},
            .samples = {first, count},
            .share = 0.5};
  }
  void work(Step& step, const std::vector<Part>& parts) {
    const int64_t calls = step.calls();
    for (const Part& part : parts) {
      step.rewind(part.samples, calls);
      const torch::Tensor weights = step.uniform() + step.integers(5) + step.normal({numbers}).sum(1);
      total_.mul_(0.5).add_((part.batch["x"].sum(1) * weights).sum() * part.share);
    }
  }

  Stats stats_;
  torch::Tensor total_ = torch::zeros({}, torch::kDouble);
  int64_t number_ = 0;
  std::vector<std::pair<double, int64_t>> seen_;
  StepGraph graph_;
};

TEST(OneGraph, ReplaysTheNewBatchAndTheNewDraws) {
  int replays = 0;
  OnePhase plain(nullptr), graph(emulated(replays));
  plain.steps({4, 4, 4, 4, 4, 4});
  graph.steps({4, 4, 4, 4, 4, 4});
  EXPECT_EQ(graph.seen(), plain.seen());
  EXPECT_EQ(replays, 3) << "of six steps three warm up";
}

TEST(OneGraph, AStepOfAnotherShapeRunsAsItComes) {
  int replays = 0;
  OnePhase plain(nullptr), graph(emulated(replays));
  plain.steps({4, 4, 4, 4, 3, 4, 0, 4});
  graph.steps({4, 4, 4, 4, 3, 4, 0, 4});
  EXPECT_EQ(graph.seen(), plain.seen());
  EXPECT_EQ(replays, 3);
}

TEST(OneGraph, ShapesThatChangeBeforeTheCaptureLeaveThePhaseAsItIs) {
  int replays = 0;
  OnePhase plain(nullptr), graph(emulated(replays));
  const std::vector<int64_t> counts{4, 4, 4, 3, 4, 4};
  plain.steps(counts);
  const std::string said = warnings([&] { graph.steps(counts); });
  EXPECT_EQ(graph.seen(), plain.seen());
  EXPECT_EQ(replays, 0);
  if (test::world().rank() == 0) {
    EXPECT_THAT(said, HasSubstr("the shapes of its batch change"));
  }
}

TEST(OneGraph, DrawsThatChangeLeaveThePhaseAsItIs) {
  // As a real capture, this one runs the host's side of the work once.
  const Capture runs_the_host = [](const std::function<void()>& work) -> std::unique_ptr<Graph> {
    work();
    fail(Exit::bug, "the draws have changed unnoticed");
  };
  OnePhase plain(nullptr), graph(runs_the_host);
  plain.steps({4, 4, 4});
  graph.steps({4, 4, 4});
  plain.numbers = graph.numbers = 5;
  plain.steps({4, 4});
  const std::string said = warnings([&] { graph.steps({4, 4}); });
  EXPECT_EQ(graph.seen(), plain.seen());
  if (test::world().rank() == 0) {
    EXPECT_THAT(said, HasSubstr("draws must not change from step to step"));
  }
}

}  // namespace
}  // namespace saddle
