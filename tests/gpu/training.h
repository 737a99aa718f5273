// Small trainings for the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include "launch/engine/trainer.h"
#include "tests/gpu/device.h"
#include "tests/support/images.h"

namespace saddle::test {

// A resolved run of a system with small nets.
inline std::unique_ptr<saddle::Run> small_run(const std::string& system,
                                              const std::vector<std::string>& more = {}) {
  std::vector<std::string> sets{"batch=8", "seed=3", "g.width=4", "d.width=4", "latent=6"};
  sets.insert(sets.end(), more.begin(), more.end());
  auto run = std::make_unique<saddle::Run>();
  run->resolve("system = \"" + system + "\"", "test", sets);
  return run;
}

inline void advance(Trainer& trainer, int steps) {
  for (int i = 0; i < steps; ++i) trainer.step();
}

// All state, on the host.
inline State state_of(Trainer& trainer) {
  State state = collect([&](StateVisitor& v) { trainer.visit(v); });
  for (auto& [name, tensor] : state.tensors)
    tensor = tensor.detach().to(torch::kCPU, /*non_blocking=*/false, /*copy=*/true);
  return state;
}

inline State trained(const Comm& comm, const saddle::Run& run, int steps) {
  Trainer trainer(run, comm, images(50));
  advance(trainer, steps);
  return state_of(trainer);
}

// Every tensor of the state within `tolerance`, but those whose name begins with `except`.
inline void expect_near(const State& a, const State& b, double tolerance,
                        const std::string& except = "none") {
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (const auto& [name, tensor] : a.tensors) {
    if (tensor.numel() == 0 || name.starts_with(except)) continue;
    const torch::Tensor difference = tensor.to(torch::kDouble) - b.tensors.at(name).to(torch::kDouble);
    EXPECT_LE(difference.abs().max().item<double>(), tolerance) << name;
  }
}

inline bool equal(const State& a, const State& b) {
  for (const auto& [name, tensor] : a.tensors)
    if (!torch::equal(tensor, b.tensors.at(name))) return false;
  return true;
}

inline std::vector<std::string> system_names() {
  std::vector<std::string> all;
  for (const SystemEntry& entry : systems()) all.push_back(entry.name);
  return all;
}

inline std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

}  // namespace saddle::test
