// N ranks with a slice of the batch each against one rank with the whole: output, gradient of a loss,
// gradient of a penalty on the gradient, and buffers, in float64.
#pragma once

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <numeric>

#include "dist/differentiable.h"
#include "dist/random.h"
#include "models/module.h"
#include "tests/support/world.h"

namespace saddle::test {

// A module and how a batch goes through it.
struct Block {
  std::shared_ptr<Module> module;
  std::function<torch::Tensor(const torch::Tensor& x)> forward;
};
using Build = std::function<Block(Maker&)>;

// Rows by rank. `even` shares 8 rows; `uneven` leaves none to the last of more than two ranks.
inline std::vector<int64_t> even(int ranks) {
  return std::vector<int64_t>(ranks, 8 / ranks);
}
inline std::vector<int64_t> uneven(int ranks) {
  std::vector<int64_t> rows(ranks);
  std::iota(rows.begin(), rows.end(), 1);
  if (ranks > 2) rows.back() = 0;
  rows[0] += 2;
  return rows;
}

inline void expect_near(const torch::Tensor& a, const torch::Tensor& b, double tolerance,
                        const std::string& what = "") {
  ASSERT_EQ(a.sizes(), b.sizes()) << what;
  if (a.numel() == 0) return;
  EXPECT_LE((a - b).abs().max().item<double>(), tolerance) << what;
}

// This rank's rows of what is computed of them, and what is computed of all.
struct Observed {
  Named of_rows, of_all;
};

// What backward passes left in `leaf`, and no more. A convolution of 0 rows leaves nothing.
inline torch::Tensor take_gradient(torch::Tensor leaf) {
  const torch::Tensor gradient = leaf.grad().defined() ? leaf.grad().clone() : torch::zeros_like(leaf);
  leaf.mutable_grad() = torch::Tensor();
  return gradient;
}

inline void take_gradients(Observed& seen, const std::string& of, const Block& block, const torch::Tensor& x,
                           const Comm& comm) {
  seen.of_rows.emplace_back("d " + of + " / d x", take_gradient(x));
  for (const auto& [name, p] : block.module->parameters()) {
    const torch::Tensor gradient = take_gradient(p);
    comm.all_reduce(gradient);
    seen.of_all.emplace_back("d " + of + " / d " + name, gradient);
  }
}

inline Observed observe(const Build& build, const Comm& comm, Range rows, at::IntArrayRef shape) {
  Maker make(comm, 1);
  const Block block = build(make);
  block.module->to(torch::kCPU, torch::kDouble);
  const torch::Tensor x = (normal({1, "x"}, rows, shape, torch::kDouble) * 1.5 + 2).set_requires_grad(true);
  const auto loss = [&] {
    const torch::Tensor y = block.forward(x);
    return std::pair{y,
                     (y.square() * normal({1, "weights"}, rows, y.sizes().slice(1), torch::kDouble)).sum()};
  };
  Observed seen;
  const auto [y, first] = loss();
  seen.of_rows.emplace_back("output", y.detach());
  first.backward();
  take_gradients(seen, "loss", block, x, comm);

  const torch::Tensor slope = torch::autograd::grad({loss().second}, {x}, {}, true, /*create_graph=*/true)[0];
  ((slope.flatten(1).square().sum(1) + 1e-12).sqrt() - 1).square().sum().backward();
  take_gradients(seen, "penalty", block, x, comm);
  for (const auto& [name, buffer] : block.module->buffers()) seen.of_all.emplace_back(name, buffer);
  return seen;
}

// `shape` is of one row.
inline void expect_like_one_rank(const Build& build, const std::vector<int64_t>& rows, at::IntArrayRef shape,
                                 double tolerance = 1e-9) {
  const Comm comm = world().comm("cpu");
  const Range mine{first_row(rows, comm), rows[comm.rank()]};
  const Range whole{0, std::accumulate(rows.begin(), rows.end(), int64_t{0})};
  const Observed ours = observe(build, comm, mine, shape), one = observe(build, World::alone(), whole, shape);
  for (size_t i = 0; i < one.of_rows.size(); ++i) {
    const auto& [name, all] = one.of_rows[i];
    EXPECT_GT(all.abs().max().item<double>(), 1e-6) << name << ": nothing to compare";
    expect_near(ours.of_rows[i].second, all.narrow(0, mine.first, mine.count), tolerance, name);
  }
  for (size_t i = 0; i < one.of_all.size(); ++i)
    expect_near(ours.of_all[i].second, one.of_all[i].second, tolerance, one.of_all[i].first);
}

}  // namespace saddle::test
