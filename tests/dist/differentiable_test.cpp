// Collectives under autograd: first, second and third derivatives of a loss over ranks against those of one
// rank with all rows, in float64.
#include "dist/differentiable.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <numeric>

#include "dist/error.h"
#include "dist/random.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

using torch::Tensor;

// The rows of each rank; the last of more than two has none.
std::vector<int64_t> rows_of(int ranks) {
  std::vector<int64_t> rows;
  for (int r = 0; r < ranks; ++r) rows.push_back(ranks > 2 && r + 1 == ranks ? 0 : r + 2);
  return rows;
}

// This rank's part of a loss over all rows, of which `mine` are this rank's. Each row meets each, so that no
// derivative is a constant.
using Loss = std::function<Tensor(const Tensor& mine, const Comm&)>;

Tensor through_sum(const Tensor& mine, const Comm& comm) {
  const Tensor sum = sum_over_ranks(mine.sin().sum(0), comm);
  return (mine * sum.square()).exp().sum();
}

Tensor through_rows(const Tensor& mine, const Comm& comm) {
  const Tensor all = rows_of_all_ranks(mine, comm);
  return (mine.unsqueeze(1) * all.unsqueeze(0)).sin().prod(-1).exp().sum();
}

Tensor derivative(const Tensor& loss, const Tensor& x) {
  return torch::autograd::grad({loss}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0];
}

class Differentiable : public testing::TestWithParam<std::pair<const char*, Loss>> {};

TEST_P(Differentiable, AnyDerivativeIsThatOfOneRankWithAllRows) {
  const Comm comm = test::world().comm("cpu"), one = World::alone();
  const std::vector<int64_t> rows = rows_of(comm.size());
  const int64_t total = std::accumulate(rows.begin(), rows.end(), int64_t{0});
  const Tensor all = normal({1, "x"}, {0, total}, {3}, torch::kDouble).set_requires_grad(true);
  const int64_t first = first_row(rows, comm), count = rows[comm.rank()];
  const Tensor mine = all.detach().narrow(0, first, count).clone().set_requires_grad(true);

  const Loss& loss = GetParam().second;
  Tensor ours = loss(mine, comm), whole = loss(all, one);
  for (int order = 1; order <= 3; ++order) {
    const Tensor a = derivative(ours, mine), b = derivative(whole, all);
    ASSERT_GT(b.abs().max().item<double>(), 1e-3) << "nothing to compare";
    const Tensor difference = a - b.narrow(0, first, count);
    EXPECT_LE(difference.abs().sum().item<double>(), 1e-10 * b.abs().sum().item<double>())
        << "derivative " << order;
    ours = a.square().sum();
    whole = b.square().sum();
  }
}

INSTANTIATE_TEST_SUITE_P(Collectives, Differentiable,
                         testing::Values(std::pair<const char*, Loss>{"sum", through_sum},
                                         std::pair<const char*, Loss>{"rows", through_rows}),
                         [](const auto& info) { return info.param.first; });

// The convention for weights, of which each rank has a copy: gradients add up to those of the mean over all
// rows when each rank scales its mean by its share.
TEST(Differentiable, GradientsOfWeightsAddUpOverRanks) {
  const Comm comm = test::world().comm("cpu"), one = World::alone();
  const int64_t count = comm.rank() + 1, total = comm.size() * (comm.size() + 1) / 2;
  const Tensor x = normal({1, "x"}, {0, total}, {3}, torch::kDouble);
  const auto gradient = [&](const Tensor& rows, double share, const Comm& ranks) {
    const Tensor w = torch::full({3}, 0.5, torch::kDouble).set_requires_grad(true);
    const Tensor h = (rows * w).sin();
    const Tensor centre = sum_over_ranks(h.sum(0), ranks) / static_cast<double>(total);
    return torch::autograd::grad({(h - centre).pow(4).sum(1).mean() * share}, {w})[0];
  };
  Tensor ours = gradient(x.narrow(0, count * (count - 1) / 2, count),
                         static_cast<double>(count) / static_cast<double>(total), comm);
  comm.all_reduce(ours);
  EXPECT_LE((ours - gradient(x, 1, one)).abs().max().item<double>(), 1e-12);
}

TEST(Differentiable, ARankWithoutUseForTheSumKeepsItInItsLossTimesZero) {
  const Comm comm = test::world().comm("cpu");
  const Tensor x = torch::full({2}, comm.rank() + 1.0, torch::kDouble).set_requires_grad(true);
  const Tensor loss = sum_over_ranks(x, comm).pow(2).sum() * (comm.rank() == 0 ? 1 : 0);
  const Tensor g = derivative(loss, x);  // 2 sum x
  const double sum = comm.size() * (comm.size() + 1) / 2.0;
  EXPECT_DOUBLE_EQ(g[0].item<double>(), 2 * sum);
  const Tensor second = derivative(g.pow(2).sum(), x);  // on each rank (2 sum x)^2
  EXPECT_DOUBLE_EQ(second[0].item<double>(), comm.size() * 8 * sum);
}

TEST(Differentiable, RowsKeepOrderDtypeAndShape) {
  const Comm comm = test::world().comm("cpu");
  for (const auto type : {torch::kLong, torch::kBFloat16}) {
    const Tensor mine = torch::full({comm.rank(), 2, 1}, comm.rank(), type);  // rank 0 has none
    const Tensor all = rows_of_all_ranks(mine, comm);
    ASSERT_EQ(all.sizes(), (std::vector<int64_t>{comm.size() * (comm.size() - 1) / 2, 2, 1}));
    EXPECT_EQ(all.scalar_type(), type);
    for (int64_t r = 1, row = 0; r < comm.size(); row += r, ++r)
      EXPECT_TRUE((all.narrow(0, row, r) == r).all().item<bool>()) << r;
  }
}

TEST(Differentiable, WrongRowCountsAreABug) {
  const Comm comm = test::world().comm("cpu");
  EXPECT_THROW(rows_of_all_ranks(torch::zeros({2, 1}), std::vector<int64_t>(comm.size(), 3), comm), Error);
}

}  // namespace
}  // namespace saddle
