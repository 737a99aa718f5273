// Fifty steps of every system in float64 on all ranks of the world against one rank, with the batch whole and
// in four parts. Prints the largest difference of any weight, moment or buffer.
#include <gtest/gtest.h>

#include <iostream>

#include "dist/error.h"
#include "launch/engine/trainer.h"
#include "tests/support/tiny.h"
#include "tests/support/trained.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

constexpr int kSteps = 50;

struct Case {
  std::string system;
  std::vector<std::string> sets;
  std::string about;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const SystemEntry& entry : systems()) all.push_back({entry.name, {}, ""});
  all.push_back({"wgan-gp", {"gp.every=4"}, "lazy penalty"});
  all.push_back({"dragan", {"g.norm=batch"}, "batch norm in G"});
  return all;
}

// Of all state that has an effect.
double largest_difference(const std::string& system, const State& a, const State& b) {
  const std::vector<std::string>& idle = system_entry(system).idle;
  const auto matters = [&](const std::string& name) {
    return name.starts_with("optimizer.") ||
           std::none_of(idle.begin(), idle.end(),
                        [&](const std::string& end) { return name.ends_with(end); });
  };
  double largest = 0;
  for (const auto& [name, tensor] : a.tensors)
    if (matters(name)) largest = std::max(largest, test::largest_difference(tensor, b.tensors.at(name)));
  return largest;
}

TEST(Equality, FiftyStepsOnAllRanksAreThoseOfOne) {
  const Comm comm = test::world().comm("cpu");
  for (const Case& c : cases())
    for (const std::string parts : {"1", "4"}) {
      std::vector<std::string> sets =
          test::tiny_sets(c.system, {"batch=16", "precision=float64", "seed=3", "accumulate=" + parts});
      sets.insert(sets.end(), c.sets.begin(), c.sets.end());
      const auto data = test::tiny_data(c.system, 100);
      saddle::Run run;
      run.resolve("system = \"" + c.system + "\"", "test", sets);
      Trainer together(run, comm, data), alone(run, World::alone(), data);
      for (int i = 0; i < kSteps; ++i) together.step();
      for (int i = 0; i < kSteps; ++i) alone.step();
      const auto state = [](Trainer& trainer) { return collect([&](StateVisitor& v) { trainer.visit(v); }); };
      const double difference = largest_difference(c.system, state(together), state(alone));
      EXPECT_LE(difference, 1e-12) << c.system << " " << c.about << ", accumulate " << parts;
      if (comm.rank() == 0)
        std::cout << fmt::format("  {:<8} {:<16} accumulate {}: {:.1e}\n", c.system, c.about, parts,
                                 difference);
    }
}

}  // namespace
}  // namespace saddle
