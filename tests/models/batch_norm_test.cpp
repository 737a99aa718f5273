// Batch norm over ranks against PyTorch's on the whole batch.
#include "models/blocks/batch_norm.h"

#include <gtest/gtest.h>

#include "dist/error.h"
#include "dist/random.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

// Rank r has r + 1 samples of the whole batch.
Range uneven(const Comm& comm) {
  return {comm.rank() * (comm.rank() + 1) / 2, comm.rank() + 1};
}
Range whole(const Comm& comm) {
  return {0, comm.size() * (comm.size() + 1) / 2};
}

void expect_near(const torch::Tensor& a, const torch::Tensor& b, double tolerance) {
  EXPECT_LE((a - b).abs().max().item<double>(), tolerance);
}

class BatchNormOverRanks : public testing::TestWithParam<std::vector<int64_t>> {};

TEST_P(BatchNormOverRanks, IsBatchNormOfTheWholeBatch) {
  const Comm comm = test::world().comm("cpu");
  Maker make(comm, 1), alone(World::alone(), 1);
  BatchNorm ours(make, 3, 0.1), reference(alone, 3, 0.1);
  ours.to(torch::kCPU, torch::kDouble);
  reference.to(torch::kCPU, torch::kDouble);
  const Stream xs(1, "x"), gs(1, "g");
  for (int step = 0; step < 3; ++step) {
    const Stream inputs(1, "x", step);
    torch::Tensor x = normal(inputs, uneven(comm), GetParam(), torch::kDouble) * 3 + 5;
    torch::Tensor all = normal(inputs, whole(comm), GetParam(), torch::kDouble) * 3 + 5;
    x.set_requires_grad(true);
    all.set_requires_grad(true);
    const torch::Tensor y = ours.forward(x), expected = reference.forward(all);
    const Range mine = uneven(comm);
    expect_near(y, expected.narrow(0, mine.first, mine.count), 1e-12);

    for (auto& [name, p] : ours.parameters()) torch::Tensor(p).mutable_grad() = torch::Tensor();
    for (auto& [name, p] : reference.parameters()) torch::Tensor(p).mutable_grad() = torch::Tensor();
    y.backward(normal(gs, uneven(comm), GetParam(), torch::kDouble));
    expected.backward(normal(gs, whole(comm), GetParam(), torch::kDouble));
    expect_near(x.grad(), all.grad().narrow(0, mine.first, mine.count), 1e-12);
    torch::Tensor weight = ours.weight.grad().clone(), bias = ours.bias.grad().clone();
    comm.all_reduce(weight);
    comm.all_reduce(bias);
    expect_near(weight, reference.weight.grad(), 1e-11);
    expect_near(bias, reference.bias.grad(), 1e-11);
  }
  expect_near(ours.running_mean, reference.running_mean, 1e-12);
  expect_near(ours.running_var, reference.running_var, 1e-12);
}

INSTANTIATE_TEST_SUITE_P(Shapes, BatchNormOverRanks,
                         testing::Values(std::vector<int64_t>{3, 4, 5}, std::vector<int64_t>{3, 6}));

TEST(BatchNorm, EvaluationUsesTheRunningAverages) {
  Maker make(test::world().comm("cpu"), 1);
  BatchNorm norm(make, 2);
  norm.train(false);
  norm.running_mean.fill_(1);
  norm.running_var.fill_(4);
  const torch::Tensor y = norm.forward(torch::full({1, 2, 1, 1}, 3.0, torch::kFloat));
  expect_near(y, torch::ones({1, 2, 1, 1}), 1e-5);
}

TEST(BatchNorm, ASecondDerivativeAcrossRanksSaysWhatToDo) {
  const Comm comm = test::world().comm("cpu");
  if (comm.size() == 1) return;  // PyTorch's own has one
  Maker make(comm, 1);
  BatchNorm norm(make, 2);
  const torch::Tensor x = torch::ones({2, 2, 2, 2}).set_requires_grad(true);
  const torch::Tensor y = norm.forward(x).square().sum();
  EXPECT_THROW(torch::autograd::grad({y}, {x}, {}, true, true), Error);
}

}  // namespace
}  // namespace saddle
