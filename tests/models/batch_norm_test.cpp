// Batch norm over ranks against PyTorch's on the whole batch.
#include "models/blocks/batch_norm.h"

#include <gtest/gtest.h>

#include "dist/random.h"
#include "tests/models/over_ranks.h"

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

test::Block only_norm(Maker& make) {
  const auto norm = std::make_shared<BatchNorm>(make, 3, 0.1);
  return {norm, [=](const torch::Tensor& x) { return norm->forward(x); }};
}

TEST(BatchNorm, PenaltiesOnGradientsAreThoseOfOneRank) {
  const int ranks = test::world().size();
  for (const auto& rows : {test::even(ranks), test::uneven(ranks)})
    for (const auto& shape : {std::vector<int64_t>{3}, {3, 5}, {3, 4, 5}})
      test::expect_like_one_rank(only_norm, rows, shape);
}

// Against the definition, in plain operations: of PyTorch's own only two derivatives are right.
TEST(BatchNorm, AThirdDerivativeIsThatOfTheDefinition) {
  const Comm comm = test::world().comm("cpu");
  if (comm.size() == 1) return;
  const std::vector<int64_t> rows = test::uneven(comm.size());
  const Range mine{first_row(rows, comm), rows[comm.rank()]};
  const Range whole{0, std::accumulate(rows.begin(), rows.end(), int64_t{0})};
  const auto third = [&](Range range, const std::function<torch::Tensor(const torch::Tensor&)>& normalise) {
    const torch::Tensor x = normal({1, "x"}, range, {3, 2}, torch::kDouble).set_requires_grad(true);
    torch::Tensor value = normalise(x).pow(3).sum(), slope;
    for (int order = 1; order <= 3; ++order) {
      slope = torch::autograd::grad({value}, {x}, {}, true, true)[0];
      value = slope.square().sum();
    }
    return slope;
  };
  Maker make(comm, 1);
  const test::Block block = only_norm(make);
  block.module->to(torch::kCPU, torch::kDouble);
  const Named weights = block.module->parameters();
  const torch::Tensor one = third(whole, [&](const torch::Tensor& x) {
    const torch::Tensor off = x - x.mean(at::IntArrayRef{0, 2}, true);
    const torch::Tensor xhat = off * torch::rsqrt(off.square().mean(at::IntArrayRef{0, 2}, true) + 1e-5);
    return xhat * weights[0].second.unsqueeze(-1) + weights[1].second.unsqueeze(-1);
  });
  const double scale = one.abs().max().item<double>();
  ASSERT_GT(scale, 1e-3);
  test::expect_near(third(mine, block.forward), one.narrow(0, mine.first, mine.count), 1e-10 * scale);
}

TEST(BatchNorm, RanksWithoutSamplesLeaveEverythingFinite) {
  const Comm comm = test::world().comm("cpu");
  if (comm.size() == 1) return;
  Maker make(comm, 1);
  BatchNorm norm(make, 3);
  const torch::Tensor x = torch::zeros({0, 3, 2, 2}).set_requires_grad(true);
  norm.forward(x).sum().backward();
  for (const torch::Tensor& t : {norm.weight.grad(), norm.bias.grad(), norm.running_mean, norm.running_var})
    EXPECT_TRUE(t.isfinite().all().item<bool>());
}

TEST(BatchNorm, HalfPrecisionInputsHaveStatisticsInFloat32) {
  const Comm comm = test::world().comm("cpu");
  for (const auto type : {torch::kBFloat16, torch::kHalf}) {
    Maker make(comm, 1), same(comm, 1);
    BatchNorm norm(make, 3, 0.1), exact(same, 3, 0.1);
    // Far from 0: a mean or a square rounded to a half precision number would be off by the spread.
    const Stream stream(1, "x");
    const torch::Tensor x = (normal(stream, {4 * comm.rank(), 4}, {3, 8, 8}, torch::kFloat) + 100).to(type);
    const torch::Tensor low = x.clone().set_requires_grad(true),
                        high = x.to(torch::kFloat).set_requires_grad(true);
    const torch::Tensor y = norm.forward(low), expected = exact.forward(high);
    EXPECT_EQ(y.scalar_type(), type);
    EXPECT_EQ(norm.running_var.scalar_type(), torch::kFloat);
    test::expect_near(norm.running_mean, exact.running_mean, 1e-4);
    test::expect_near(norm.running_var, exact.running_var, 1e-5);
    test::expect_near(y.to(torch::kFloat), expected, 0.05);
    const auto slope = [](const torch::Tensor& y, const torch::Tensor& x, bool graph) {
      return torch::autograd::grad({y.to(torch::kFloat).pow(3).sum()}, {x}, {}, true, graph)[0];
    };
    for (const bool graph : {false, true}) {
      const torch::Tensor g = slope(y, low, graph), h = slope(expected, high, graph);
      EXPECT_EQ(g.scalar_type(), type);
      test::expect_near(g.to(torch::kFloat), h, 0.03 * h.abs().max().item<double>());
    }
  }
}

TEST(BatchNorm, KeepsTheMemoryFormat) {
  Maker make(test::world().comm("cpu"), 1);
  BatchNorm norm(make, 3);
  const torch::Tensor x =
      torch::randn({2, 3, 4, 5}).contiguous(at::MemoryFormat::ChannelsLast).set_requires_grad(true);
  const torch::Tensor y = norm.forward(x);
  EXPECT_TRUE(y.is_contiguous(at::MemoryFormat::ChannelsLast));
  const torch::Tensor dx = torch::autograd::grad({y.square().sum()}, {x})[0];
  EXPECT_TRUE(dx.is_contiguous(at::MemoryFormat::ChannelsLast));
}

}  // namespace
}  // namespace saddle
