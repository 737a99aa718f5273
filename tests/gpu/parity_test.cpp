// The same computation on the CPU and on a CUDA device, in double precision, so that only the order of sums
// differs.
#include <gtest/gtest.h>

#include <torch/csrc/autograd/autograd.h>

#include <functional>

#include "dist/random.h"
#include "dist/replica.h"
#include "models/blocks/batch_norm.h"
#include "models/blocks/layers.h"
#include "models/optimizer.h"
#include "tests/gpu/device.h"
#include "tests/gpu/training.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

using Computation = std::function<torch::Tensor(const Comm&)>;

// Inputs that both sides see alike: streams are computed on the host.
torch::Tensor input(const Comm& comm, std::string_view purpose, at::IntArrayRef shape) {
  return normal(Stream(1, purpose), {0, shape[0]}, shape.slice(1), torch::kDouble).to(comm.device());
}

void expect_parity(const Computation& compute, double tolerance = 1e-12) {
  const torch::Tensor expected = compute(World::alone()), found = compute(test::comm());
  ASSERT_EQ(found.device(), test::comm().device());
  const double error = (found.cpu() - expected).abs().max().item<double>(),
               size = expected.abs().max().item<double>();
  EXPECT_LE(error, tolerance * size) << "greatest value " << size;
}

TEST(Parity, OfReplicaGradients) {
  expect_parity([](const Comm& comm) {
    torch::Tensor w = input(comm, "weight", {8, 3, 4, 4}).requires_grad_(),
                  x = input(comm, "x", {16, 3, 32, 32});
    Replica replica(comm, {{"w", w}});
    replica.learn(true);
    replica.zero_grad();
    replica.arm();
    torch::leaky_relu(torch::conv2d(x, w, {}, 2, 1), 0.2).square().mean().backward();
    replica.finish();
    return replica.gradients().clone();
  });
}

TEST(Parity, OfGradientsOfGradients) {
  expect_parity([](const Comm& comm) {  // R1 through a convolution
    torch::Tensor w = input(comm, "weight", {4, 3, 3, 3}).requires_grad_(),
                  x = input(comm, "x", {8, 3, 16, 16}).requires_grad_();
    torch::Tensor score = torch::conv2d(x, w).tanh().sum();
    torch::Tensor slope =
        torch::autograd::grad({score}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0];
    slope.square().sum().backward();
    return w.grad();
  });
}

// Output, gradients of a loss, and gradients of a penalty on the gradient, in one vector.
template <class Block, class... More>
void expect_block_parity(at::IntArrayRef shape, More... more) {
  expect_parity([&](const Comm& comm) {
    Maker make(comm, 1);
    Block block(make, more...);
    block.to(comm.device(), torch::kDouble);
    const torch::Tensor x = input(comm, "x", shape).requires_grad_();
    const torch::Tensor y = block.forward(x);
    const torch::Tensor loss = (y.square() * input(comm, "weights", y.sizes())).sum();
    const torch::Tensor slope = torch::autograd::grad({loss}, {x}, {}, true, /*create_graph=*/true)[0];
    (loss + slope.square().sum()).backward();
    std::vector<torch::Tensor> all{y.detach().reshape(-1), slope.detach().reshape(-1), x.grad().reshape(-1)};
    for (const auto& [name, p] : block.parameters()) all.push_back(p.grad().reshape(-1));
    for (const auto& [name, buffer] : block.buffers()) all.push_back(buffer.reshape(-1));
    return torch::cat(all);
  });
}

TEST(Parity, OfBatchNorm) {
  expect_block_parity<BatchNorm>({8, 5, 6, 7}, 5);
  expect_block_parity<BatchNorm>({8, 5}, 5);
}

TEST(Parity, OfConvolutions) {
  expect_block_parity<Conv2d>({4, 3, 8, 8}, 3, 5, Kernel{});
  expect_block_parity<ConvTranspose2d>({4, 3, 8, 8}, 3, 5, Kernel{});
  expect_block_parity<Conv2d>({4, 3, 8, 8}, 3, 5, Kernel{}, LayerOptions{.spectral = true});
}

TEST(Parity, OfLinearAndInstanceNorm) {
  expect_block_parity<Linear>({6, 4}, 4, 3);
  expect_block_parity<InstanceNorm>({4, 3, 8, 8}, 3);
}

template <class Options>
torch::Tensor weights_after(const Comm& comm, const Options& options) {
  torch::Tensor weights = input(comm, "weights", {50, 2});
  const auto optimizer = make_optimizer(options, weights);
  for (const double scale : {1.0, -2.0, 0.1}) {
    torch::Tensor gradients = input(comm, "gradients", {50, 2}) * scale;
    optimizer->step(weights, gradients, {});
  }
  return weights;
}

TEST(Parity, OfOptimizers) {
  expect_parity([](const Comm& comm) { return weights_after(comm, AdamOptions{}); });
  expect_parity([](const Comm& comm) { return weights_after(comm, RmsPropOptions{}); });
}

class SystemParity : public testing::TestWithParam<std::string> {};

// Four steps in float64: every weight, moment, buffer and average within 1e-9.
TEST_P(SystemParity, InFloat64) {
  const auto run = test::small_run(GetParam(), {"precision=float64"});
  test::expect_near(test::trained(World::alone(), *run, 4), test::trained(test::comm(), *run, 4), 1e-9);
}

// Two steps in float32. Adam and RMSProp divide a gradient by its own size, so that one made of rounding
// errors alone may step either way: the mean difference of a tensor's weights is bounded, by 1e-4, not the
// greatest.
TEST_P(SystemParity, InFloat32) {
  const auto run = test::small_run(GetParam(), {"precision=float32"});
  const State expected = test::trained(World::alone(), *run, 2), found = test::trained(test::comm(), *run, 2);
  for (const auto& [name, tensor] : expected.tensors) {
    if (name.starts_with("optimizer.") || tensor.numel() < 32) continue;
    EXPECT_LE((tensor - found.tensors.at(name)).abs().mean().item<double>(), 1e-4) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Parity, SystemParity, testing::ValuesIn(test::system_names()), test::test_name);

}  // namespace
}  // namespace saddle
