#include "losses/metrics/neighbours.h"

#include <ATen/TensorIndexing.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "dist/error.h"
#include "dist/tensor.h"

namespace saddle {
namespace {

using torch::Tensor;

constexpr double kFar = std::numeric_limits<double>::infinity();
constexpr int64_t kSpare =
    8;  // candidates beyond the nearest asked for, of which rounding may have chosen one

// The middle of the first rows of `x`, [D]; 0 where that is not finite.
Tensor centre_of(const Tensor& x) {
  return rows_of(x, {.first = 0, .count = std::min(x.size(0), kBlock)}).mean(0).nan_to_num(0, 0, 0);
}

// Squared distances [n, m] by products, many times as fast as from differences, and by how much they may be
// wrong: by all there is of small ones, the more so the farther the rows are from `centre`.
struct Rough {
  Tensor squares;
  Tensor error;
};
Rough rough(const Tensor& x, const Tensor& y, const Tensor& centre) {
  const Tensor p = x - centre, q = y - centre;
  const Tensor sizes = p.square().sum(1, /*keepdim=*/true) + q.square().sum(1);
  const double digits = static_cast<double>(x.size(1) + 8) * std::numeric_limits<double>::epsilon();
  return {sizes - 2 * p.mm(q.t()), sizes * digits};
}

// Of row i of `x` and row i of `y`, from differences: the same for a pair wherever it stands.
Tensor row_distances(const Tensor& x, const Tensor& y) {
  return (x - y).square().sum(1).sqrt();
}

// The `count` nearest rows of `y` for each row of `x`, in ascending order, [N, count]. Candidates are chosen
// by rough distances, and measured exactly.
Nearest nearest_several(const Tensor& x, const Tensor& y, int64_t count, int64_t block) {
  const Tensor centre = centre_of(y);
  std::vector<Tensor> index, distance;
  for (const Range i : pieces(x.size(0), block)) {
    const Tensor some = rows_of(x, i);
    Tensor least = torch::empty({i.count, 0}, torch::kDouble), who = torch::empty({i.count, 0}, torch::kLong);
    for (const Range j : pieces(y.size(0), block)) {
      const Tensor numbers = torch::arange(j.first, j.first + j.count).expand({i.count, j.count});
      const Tensor both =
          torch::cat({least, rough(some, rows_of(y, j), centre).squares.nan_to_num(kFar, kFar)}, 1);
      const auto [kept, place] = both.topk(std::min(count + kSpare, both.size(1)), 1, /*largest=*/false);
      who = torch::cat({who, numbers}, 1).gather(1, place);
      least = kept;
    }
    std::vector<Tensor> exact;
    for (const Tensor& candidate : who.unbind(1)) {
      const Tensor rows = y.index_select(0, candidate.to(y.device()));
      exact.push_back(row_distances(some, rows_of(rows, {.first = 0, .count = i.count})));
    }
    const auto [best, place] =
        torch::stack(exact, 1).nan_to_num(kFar, kFar).topk(count, 1, /*largest=*/false);
    index.push_back(who.gather(1, place));
    distance.push_back(best);
  }
  return {torch::cat(index), torch::cat(distance)};
}

// [N]: distance to the k-th neighbour. The sample itself is the nearest of all, at 0.
Tensor radii(const Tensor& x, int64_t k, int64_t block) {
  return nearest_several(x, x, k + 1, block).distance.select(1, k);
}

// Which rows of `x` and `y` are nearer than `radius`, [n, 1] or [m]: [n, m]. Where the rough distance does
// not tell, the exact one does.
Tensor within(const Tensor& x, const Tensor& y, const Rough& apart, const Tensor& radius, bool strict) {
  const Tensor beyond = apart.squares - radius.square();
  const Tensor doubtful = (beyond.abs() <= apart.error).nonzero();  // [pairs, 2]
  Tensor result = beyond < 0;
  for (const Range range : pieces(doubtful.size(0), kBlock)) {
    const Tensor pairs = doubtful.narrow(0, range.first, range.count);
    const Tensor i = pairs.select(1, 0), j = pairs.select(1, 1);
    const Tensor d = row_distances(x.index_select(0, i), y.index_select(0, j));
    const Tensor r = radius.expand_as(beyond).index({i, j});
    result.index_put_({i, j}, strict ? d < r : d <= r);
  }
  return result;
}

double share_of(const Tensor& counts) {
  return counts.gt(0).to(torch::kDouble).mean().item<double>();
}

}  // namespace

Prdc prdc(const Tensor& real, const Tensor& fake, int64_t k, bool strict, int64_t block) {
  require(k >= 1, Exit::usage, "the {}-th neighbour does not exist: give a k of 1 or more", k);
  require_features("precision and recall by neighbours", real, fake, k + 1);
  const torch::NoGradGuard no_grad;
  if (!all_finite(real) || !all_finite(fake)) {
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    return {kNan, kNan, kNan, kNan};
  }
  const Tensor of_real = radii(real, k, block), of_fake = radii(fake, k, block), centre = centre_of(real);
  // Of each fake: balls of real samples it is in. Of each real sample: fakes in its ball, balls of fakes it
  // is in.
  Tensor real_balls = torch::zeros_like(of_fake, torch::kLong),
         fakes_within = torch::zeros_like(of_real, torch::kLong), fake_balls = fakes_within.clone();
  for (const Range i : pieces(real.size(0), block)) {
    const Tensor some = rows_of(real, i), radius = of_real.narrow(0, i.first, i.count).unsqueeze(1);
    for (const Range j : pieces(fake.size(0), block)) {
      const Tensor others = rows_of(fake, j);
      const Rough apart = rough(some, others, centre);
      const Tensor in_real = within(some, others, apart, radius, strict),
                   in_fake = within(some, others, apart, of_fake.narrow(0, j.first, j.count), strict);
      real_balls.narrow(0, j.first, j.count) += in_real.sum(0);
      fakes_within.narrow(0, i.first, i.count) += in_real.sum(1);
      fake_balls.narrow(0, i.first, i.count) += in_fake.sum(1);
    }
  }
  return {.precision = share_of(real_balls),
          .recall = share_of(fake_balls),
          .density = real_balls.to(torch::kDouble).mean().item<double>() / static_cast<double>(k),
          .coverage = share_of(fakes_within)};
}

Nearest nearest(const Tensor& queries, const Tensor& data, int64_t block) {
  require_features("the search of nearest neighbours", queries, data);
  const torch::NoGradGuard no_grad;
  const Nearest found = nearest_several(queries, data, 1, block);
  const Tensor distance = found.distance.squeeze(1), none = distance == kFar;
  return {found.index.squeeze(1).masked_fill(none, -1),
          distance.masked_fill(none, std::numeric_limits<double>::quiet_NaN())};
}

}  // namespace saddle
