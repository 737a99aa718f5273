// images/s and memory of two trainings on the device, printed as lines "speed: ..."; nothing is demanded of
// them but that they train. Their nets are those of tests/bench/ddp_twin.py in run.sh.
#include <ATen/Context.h>

#include <chrono>
#include <cmath>
#include <iostream>

#include "dist/cuda/load.h"
#include "tests/gpu/training.h"

namespace saddle {
namespace {

using test::comm;
using Clock = std::chrono::steady_clock;

struct Case {
  std::string recipe;
  std::vector<std::string> sets;
};

class Speed : public testing::TestWithParam<Case> {};

// Seconds that `steps` take, with all that they start on the device.
double timed(Trainer& trainer, int steps) {
  const auto wait = [] {
    if (!test::rehearsal()) cuda_plugin()->synchronize();
  };
  wait();
  const auto start = Clock::now();
  test::advance(trainer, steps);
  wait();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

TEST_P(Speed, IsPrinted) {
  const auto& [recipe, sets] = GetParam();
  saddle::Run run;
  std::vector<std::string> all{"ema=0", "batch=64", "latent=100", "tf32=true"};
  const std::string width = recipe == "dcgan" ? "32" : "16";
  for (const std::string net : {"g", "d"}) all.push_back(net + ".width=" + width);
  all.insert(all.end(), sets.begin(), sets.end());
  run.resolve(find_recipe(recipe), recipe, all);
  at::globalContext().setAllowTF32CuBLAS(run.options.tf32);
  at::globalContext().setAllowTF32CuDNN(run.options.tf32);
  test::memory();
  Trainer trainer(run, comm(), test::images(test::rehearsal() ? 100 : 20000, 28));
  const int warm_up = test::rehearsal() ? 0 : 20, steps = test::rehearsal() ? 1 : 200;
  test::advance(trainer, warm_up);
  const double seconds = timed(trainer, steps);
  std::string about = recipe;
  for (const std::string& set : sets) about += " " + set;
  std::cout << fmt::format("speed: {}, batch {}: {:.0f} images/s, {:.3f} ms a step, memory {}\n", about,
                           run.options.batch, static_cast<double>(steps * run.options.batch) / seconds,
                           1e3 * seconds / steps, test::memory());
  for (const Moments& m : trainer.stats().tick(comm())) EXPECT_TRUE(std::isfinite(m.mean)) << m.name;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* recipe : {"dcgan", "wgan-gp"})
    for (const char* precision : {"float32", "bfloat16"})
      for (const char* graphs : {"false", "true"})
        all.push_back(
            {recipe, {std::string("precision=") + precision, std::string("cuda_graphs=") + graphs}});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Speed, Speed, testing::ValuesIn(cases()));

}  // namespace
}  // namespace saddle
