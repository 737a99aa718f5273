#include "losses/metrics/masks.h"

#include <ATen/ops/quantile.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "dist/error.h"
#include "dist/tensor.h"

namespace saddle {
namespace {

using torch::Tensor;

Tensor inside(const Tensor& mask) {
  require((mask.dim() == 2 || mask.dim() == 3) && mask.numel() > 0, Exit::usage,
          "a mask is [H, W] or [D, H, W]: got {} dimensions, {} cells", mask.dim(), mask.numel());
  return mask.ne(0).to(torch::kCPU).contiguous();
}

struct Pair {
  Tensor a, b;
};
Pair pair_of(const Tensor& mask, const Tensor& reference) {
  Pair both{inside(mask), inside(reference)};
  require(both.a.sizes() == both.b.sizes(), Exit::usage, "a mask and its reference need one shape");
  return both;
}

double cells(const Tensor& mask) {
  return static_cast<double>(mask.sum().item<int64_t>());
}

// Inside, as are both neighbours along every dimension.
Tensor eroded(const Tensor& mask) {
  Tensor core = mask.clone();
  for (int64_t dim = 0; dim < mask.dim(); ++dim) {
    const int64_t n = mask.size(dim);
    core.narrow(dim, 1, n - 1).logical_and_(mask.narrow(dim, 0, n - 1));
    core.narrow(dim, 0, n - 1).logical_and_(mask.narrow(dim, 1, n - 1));
    core.select(dim, 0).zero_();
    core.select(dim, n - 1).zero_();
  }
  return core;
}

Tensor border(const Tensor& mask) {
  return mask.logical_and(eroded(mask).logical_not());
}

// For each place q of a line of `values` the least of value(p) + (size (p - q))^2 over all p: the lower
// envelope of parabolas (Felzenszwalb and Huttenlocher 2012).
class Envelope {
 public:
  explicit Envelope(double size) : size_(size) {}

  void apply(double* values, int64_t count) {
    before_.assign(values, values + count);
    lowest_.clear();
    from_.clear();
    for (int64_t p = 0; p < count; ++p)
      if (std::isfinite(values[p])) append(p);
    if (lowest_.empty()) return;
    size_t at = 0;
    for (int64_t q = 0; q < count; ++q) {
      while (at + 1 < from_.size() && from_[at + 1] < place(q)) ++at;
      values[q] = before(lowest_[at]) + std::pow(place(q - lowest_[at]), 2);
    }
  }

 private:
  double place(int64_t p) const { return size_ * static_cast<double>(p); }
  double before(int64_t p) const { return before_[static_cast<size_t>(p)]; }
  // Where the parabola of q > p gets below that of p.
  double crossing(int64_t p, int64_t q) const {
    return (place(p) + place(q)) / 2 + (before(q) - before(p)) / (2 * place(q - p));
  }
  void append(int64_t q) {
    double from = -std::numeric_limits<double>::infinity();
    while (!lowest_.empty() && (from = crossing(lowest_.back(), q)) <= from_.back()) {
      lowest_.pop_back();
      from_.pop_back();
    }
    from_.push_back(lowest_.empty() ? -std::numeric_limits<double>::infinity() : from);
    lowest_.push_back(q);
  }

  double size_;
  std::vector<double> before_;
  std::vector<int64_t> lowest_;  // whose parabolas are the lowest somewhere
  std::vector<double> from_;     // from which place on they are
};

// Of each cell, float64 in the shape of `cells`: the squared distance to the nearest of those that are true.
Tensor squared_distances(const Tensor& cells, at::ArrayRef<double> spacing) {
  Tensor squares = torch::zeros(cells.sizes(), torch::kDouble);
  squares.masked_fill_(cells.logical_not(), std::numeric_limits<double>::infinity());
  for (int64_t dim = 0; dim < cells.dim(); ++dim) {
    Envelope envelope(spacing[static_cast<size_t>(dim)]);
    const Tensor lines = squares.movedim(dim, -1).contiguous();
    const int64_t count = lines.size(-1);
    for (int64_t first = 0; first < lines.numel(); first += count)
      envelope.apply(lines.data_ptr<double>() + first, count);
    squares = lines.movedim(-1, dim);
  }
  return squares;
}

// From each of `cells` to the nearest of `others`, [cells].
Tensor distances_between(const Tensor& cells, const Tensor& others, at::ArrayRef<double> spacing) {
  return squared_distances(others, spacing).masked_select(cells).sqrt();
}

// Of the distances from each border cell to the nearest of the other mask, [cells] in each direction.
using Summary = std::function<double(const Tensor& there, const Tensor& back)>;

double of_distances(const Tensor& mask, const Tensor& reference, at::ArrayRef<double> spacing,
                    const Summary& summary) {
  const Pair masks = pair_of(mask, reference);
  require(static_cast<int64_t>(spacing.size()) == masks.a.dim() &&
              std::all_of(spacing.begin(), spacing.end(), [](double size) { return size > 0; }),
          Exit::usage, "a mask of {} dimensions needs as many positive sizes of a cell", masks.a.dim());
  const bool a = masks.a.any().item<bool>(), b = masks.b.any().item<bool>();
  if (!a && !b) return 0;
  if (!a || !b) return std::numeric_limits<double>::infinity();
  const Tensor of_a = border(masks.a), of_b = border(masks.b);
  return summary(distances_between(of_a, of_b, spacing), distances_between(of_b, of_a, spacing));
}

// Marks the cells connected to `start` as not inside.
void remove_part(const Tensor& mask, int64_t start) {
  bool* inside = mask.data_ptr<bool>();
  std::vector<int64_t> reached{start};
  inside[start] = false;
  while (!reached.empty()) {
    const int64_t at = reached.back();
    reached.pop_back();
    for (int64_t dim = 0; dim < mask.dim(); ++dim) {
      const int64_t step = mask.stride(dim), place = at / step % mask.size(dim);
      for (const int64_t next : {place > 0 ? at - step : at, place + 1 < mask.size(dim) ? at + step : at}) {
        if (!inside[next]) continue;
        inside[next] = false;
        reached.push_back(next);
      }
    }
  }
}

}  // namespace

double dice(const Tensor& mask, const Tensor& reference) {
  const Pair masks = pair_of(mask, reference);
  const double sum = cells(masks.a) + cells(masks.b);
  return sum == 0 ? 1 : 2 * cells(masks.a.logical_and(masks.b)) / sum;
}

double iou(const Tensor& mask, const Tensor& reference) {
  const Pair masks = pair_of(mask, reference);
  const double either = cells(masks.a.logical_or(masks.b));
  return either == 0 ? 1 : cells(masks.a.logical_and(masks.b)) / either;
}

double hausdorff(const Tensor& mask, const Tensor& reference, at::ArrayRef<double> spacing,
                 Hausdorff convention, double percent) {
  require(percent >= 0 && percent <= 100, Exit::usage, "the percentile of a distance is {}: give 0 to 100",
          percent);
  const auto percentile = [&](const Tensor& d) { return torch::quantile(d, percent / 100).item<double>(); };
  return of_distances(mask, reference, spacing, [&](const Tensor& there, const Tensor& back) {
    return convention == Hausdorff::medpy ? percentile(torch::cat({there, back}))
                                          : std::max(percentile(there), percentile(back));
  });
}

double surface_distance(const Tensor& mask, const Tensor& reference, at::ArrayRef<double> spacing) {
  return of_distances(mask, reference, spacing, [](const Tensor& there, const Tensor& back) {
    return torch::cat({there, back}).mean().item<double>();
  });
}

int64_t components(const Tensor& mask) {
  const Tensor left = inside(mask);
  int64_t parts = 0;
  for (int64_t cell = 0; cell < left.numel(); ++cell) {
    if (!left.data_ptr<bool>()[cell]) continue;
    remove_part(left, cell);
    ++parts;
  }
  return parts;
}

}  // namespace saddle
