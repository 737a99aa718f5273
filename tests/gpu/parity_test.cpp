// The same computation on the CPU and on a CUDA device, in double precision, so that only the order of sums
// differs.
#include <gtest/gtest.h>

#include <torch/csrc/autograd/autograd.h>
#include <functional>

#include "dist/comm.h"
#include "dist/random.h"
#include "dist/replica.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

using test::world;
using Computation = std::function<torch::Tensor(const Comm&)>;

// Inputs that both sides see alike: streams are computed on the host.
torch::Tensor input(const Comm& comm, std::string_view purpose, at::IntArrayRef shape) {
  return normal(Stream(1, purpose), {0, shape[0]}, shape.slice(1), torch::kDouble).to(comm.device());
}

void expect_parity(const Computation& compute, double tolerance = 1e-12) {
  const Comm cpu = world().comm("cpu"), cuda = world().comm("cuda");
  torch::Tensor expected = compute(cpu), found = compute(cuda);
  ASSERT_TRUE(found.is_cuda());
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

// Systems (models/): add their parity below, one TEST(Parity, OfSystem...) on `expect_parity`.

}  // namespace
}  // namespace saddle
