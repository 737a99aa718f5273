// What a training on a CUDA device must keep beyond parity: lower precisions, TF32, memory formats, resuming.
#include <ATen/Context.h>

#include <iostream>

#include "tests/gpu/training.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

using test::comm;

class Training : public testing::TestWithParam<std::string> {};

TEST_P(Training, InLowerPrecisionsStaysFinite) {
  for (const std::string precision : {"bfloat16", "float16"}) {
    const auto run = test::small_run(GetParam(), {"precision=" + precision});
    Trainer trainer(*run, comm(), test::images(50));
    const State before = test::state_of(trainer);
    test::advance(trainer, 20);
    for (const auto& [name, tensor] : test::state_of(trainer).tensors) {
      EXPECT_TRUE(!tensor.is_floating_point() || tensor.isfinite().all().item<bool>()) << precision << name;
      if (name.starts_with("G.") && name.ends_with("weight")) {
        EXPECT_FALSE(torch::equal(tensor, before.tensors.at(name))) << precision << " never moved " << name;
      }
      if (name.starts_with("loss_scale.") && name.ends_with("scale")) {
        EXPECT_GE(tensor.item<double>(), 1) << precision << ": most steps were skipped";
      }
    }
    for (const Moments& m : trainer.stats().tick(comm())) EXPECT_TRUE(std::isfinite(m.mean)) << m.name;
  }
}

TEST_P(Training, ChannelsLastIsTheSameArithmetic) {
  const auto plain = test::small_run(GetParam(), {"precision=float64"});
  const auto other = test::small_run(GetParam(), {"precision=float64", "channels_last=true"});
  // Moments are flat vectors that hold the weights as they lie in memory.
  test::expect_near(test::trained(comm(), *plain, 3), test::trained(comm(), *other, 3), 1e-9, "optimizer.");
}

TEST_P(Training, ResumesOnEitherDevice) {
  const auto run = test::small_run(GetParam(), {"precision=float64"});
  const auto data = test::images(50);
  Trainer straight(*run, comm(), data), first(*run, comm(), data), second(*run, comm(), data),
      host(*run, World::alone(), data);
  test::advance(straight, 6);
  test::advance(first, 3);
  const State saved = test::state_of(first);
  for (Trainer* resumed : {&second, &host}) {
    restore([&](StateVisitor& v) { resumed->visit(v); }, saved);
    test::advance(*resumed, 3);
    test::expect_near(test::state_of(straight), test::state_of(*resumed), 1e-9);
  }
}

INSTANTIATE_TEST_SUITE_P(Training, Training, testing::ValuesIn(test::system_names()), test::test_name);

TEST(TrainingTf32, IsASwitch) {
  const auto options = torch::dtype(torch::kDouble).device(comm().device());
  const torch::Tensor a = torch::randn({512, 512}, options), b = torch::randn({512, 512}, options),
                      exact = a.mm(b), size = exact.abs().max();
  const auto error = [&](bool allowed) {
    at::globalContext().setAllowTF32CuBLAS(allowed);
    const torch::Tensor found = a.to(torch::kFloat).mm(b.to(torch::kFloat)).to(torch::kDouble);
    at::globalContext().setAllowTF32CuBLAS(false);
    return ((found - exact).abs().max() / size).item<double>();
  };
  const double off = error(false), on = error(true);
  std::cout << "tf32: relative error of a product " << off << " without, " << on << " with" << std::endl;
  EXPECT_LE(off, 1e-5);
  EXPECT_LE(on, 1e-2);
  if (on == off) GTEST_SKIP() << "this device has no TF32";
  EXPECT_GT(on, 5 * off);
}

}  // namespace
}  // namespace saddle
