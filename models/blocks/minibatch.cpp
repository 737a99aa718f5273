#include "models/blocks/minibatch.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "dist/differentiable.h"
#include "dist/error.h"

namespace saddle {
namespace {

using torch::Tensor;

// The groups that have samples of this rank in them, and where these are.
struct Groups {
  Tensor rows;    // [groups, size, ...]
  int64_t first;  // of this rank's samples among rows.flatten(0, 1)
};

Groups split(const Tensor& rows, int64_t size, int64_t first) {
  std::vector<int64_t> shape = rows.sizes().vec();
  shape[0] = size;
  shape.insert(shape.begin(), rows.size(0) / size);
  return {rows.reshape(shape), first};
}

Groups groups_of(const Tensor& x, int64_t group, const Comm& comm) {
  const std::vector<int64_t> counts = rows_by_rank(x.size(0), comm);
  const int64_t total = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  const int64_t size = group > 0 ? group : std::max<int64_t>(total, 1), first = first_row(counts, comm);
  require(
      total % size == 0, Exit::usage,
      "a global batch of {} does not divide into groups of {}: choose a divisor, or 0 for the whole batch",
      total, size);
  if (std::all_of(counts.begin(), counts.end(), [&](int64_t count) { return count % size == 0; }))
    return split(x, size, 0);
  const Tensor all = rows_of_all_ranks(x, counts, comm, "minibatch");
  const int64_t begin = first / size * size, end = (first + x.size(0) + size - 1) / size * size;
  return split(all.narrow(0, begin, end - begin), size, first - begin);
}

Tensor at_least_float(const Tensor& x) {
  return x.scalar_type() == torch::kDouble ? x : x.to(torch::kFloat);
}

// [groups, size, ...] -> this rank's [B, ...]
Tensor of_this_rank(const Tensor& grouped, int64_t first, const Tensor& x) {
  return grouped.flatten(0, 1).narrow(0, first, x.size(0)).to(x.scalar_type());
}

}  // namespace

MinibatchStd::MinibatchStd(Maker& make, int64_t group) : comm_(make.comm), group_(group) {}

Tensor MinibatchStd::forward(const Tensor& x) const {
  const Groups groups = groups_of(at_least_float(x), group_, comm_);
  const Tensor deviation = groups.rows - groups.rows.mean(1, /*keepdim=*/true);
  const Tensor std = (deviation.square().mean(1) + 1e-8).sqrt().flatten(1).mean(1);  // [groups]
  const Tensor each = std.unsqueeze(1).expand({-1, groups.rows.size(1)});
  const Tensor map = of_this_rank(each, groups.first, x).view({-1, 1, 1, 1});
  return torch::cat({x, map.expand({-1, 1, x.size(2), x.size(3)})}, 1);
}

MinibatchDiscrimination::MinibatchDiscrimination(Maker& make, int64_t features, int64_t kernels, int64_t dims,
                                                 int64_t group)
    : comm_(make.comm), kernels_(kernels), dims_(dims), group_(group) {
  mix_samples();
  weight = parameter("weight",
                     make.uniform({kernels * dims, features}, 1 / std::sqrt(static_cast<double>(features))));
}

Tensor MinibatchDiscrimination::forward(const Tensor& x) const {
  const Tensor mine = at_least_float(torch::linear(x, weight)).view({-1, kernels_, dims_});
  const Groups groups = groups_of(mine, group_, comm_);
  // Of one group only this rank's samples are wanted; several are cheap to do whole.
  const bool one = groups.rows.size(0) == 1;
  const Tensor from = one ? mine.unsqueeze(0) : groups.rows;
  const Tensor distance =
      (from.unsqueeze(2) - groups.rows.unsqueeze(1)).abs().sum(-1);  // [groups, i, j, kernels]
  const Tensor near = (-distance).exp().sum(2);
  return torch::cat({x, of_this_rank(near, one ? 0 : groups.first, x)}, 1);
}

}  // namespace saddle
