#include "dist/stats.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "dist/error.h"

namespace saddle {

namespace {

// Count, sum and sum of squares of `x`, to be added `weight` times.
void add_moments(const torch::Tensor& sums, const torch::Tensor& x, double weight) {
  const torch::Tensor count = torch::full({}, static_cast<double>(x.numel()), x.options());
  sums.add_(torch::stack({count, x.sum(), x.dot(x)}), weight);
}

// The same by a loop: on the host, dispatching operations costs more than a few numbers.
void add_moments_on_host(const torch::Tensor& sums, const torch::Tensor& x, double weight) {
  double sum = 0, squares = 0;
  for (const double value : std::span(x.const_data_ptr<double>(), static_cast<size_t>(x.numel()))) {
    sum += value;
    squares += value * value;
  }
  auto* const at = sums.data_ptr<double>();
  at[0] += weight * static_cast<double>(x.numel());
  at[1] += weight * sum;
  at[2] += weight * squares;
}

}  // namespace

void Stats::report(const std::string& name, const torch::Tensor& values, int64_t weight) {
  const torch::Tensor x = values.detach().to(torch::kDouble).reshape(-1);
  const torch::Tensor& sums = slot(name, x.device());
  // A mean over nothing is NaN: it must not count, rather than count zero times.
  if (weight > 0) (x.is_cpu() ? add_moments_on_host : add_moments)(sums, x, static_cast<double>(weight));
}

const torch::Tensor& Stats::slot(const std::string& name, torch::Device device) {
  const auto found =
      std::find_if(sums_.begin(), sums_.end(), [&](const auto& entry) { return entry.first == name; });
  if (found != sums_.end()) return found->second;
  return sums_.emplace_back(name, torch::zeros({3}, torch::dtype(torch::kDouble).device(device))).second;
}

std::vector<Moments> Stats::tick(const Comm& comm) {
  std::string names;
  std::vector<torch::Tensor> rows;
  for (const auto& [name, sum] : sums_) {
    names += name + "\n";
    rows.push_back(sum);
  }
  const auto all_names = comm.all_gather_text(names);
  for (size_t r = 0; r < all_names.size(); ++r)
    require(all_names[r] == names, Exit::bug,
            "rank {} reported other statistics than rank {}:\n{}against\n{}", r, comm.rank(), all_names[r],
            names);
  if (rows.empty()) return {};
  torch::Tensor table = torch::stack(rows);
  for (torch::Tensor& row : rows) row.zero_();
  comm.all_reduce(table);
  table = table.cpu();
  std::vector<Moments> moments;
  for (size_t i = 0; i < sums_.size(); ++i) {
    const double count = table[i][0].item<double>(), mean = table[i][1].item<double>() / count;
    if (count == 0) continue;
    const double square = table[i][2].item<double>() / count;
    moments.push_back({sums_[i].first, mean, std::sqrt(std::max(0.0, square - mean * mean)), int64_t(count)});
  }
  return moments;
}

}  // namespace saddle
