// Figures of many values of one dtype: extremes, moments, zeros, NaN. Plain loops, no torch operators, so
// that many threads can count at once; parts are merged by Chan's formula.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>

#include "dist/tensor.h"

namespace saddle {

struct Tally {
  int64_t count = 0;  // of finite values; the others are in none of the figures but their own
  int64_t zeros = 0, nans = 0, infinities = 0;
  double min = std::numeric_limits<double>::infinity(), max = -std::numeric_limits<double>::infinity();
  double mean = 0, squares = 0;  // squares: the sum of squared distances from the mean

  int64_t values() const { return count + nans + infinities; }
  double deviation() const;  // of the population
  void merge(const Tally& other);
  bool operator==(const Tally&) const = default;
};

// `values` must be aligned to their size.
Tally tally(torch::ScalarType dtype, const void* values, int64_t count);

nlohmann::json to_json(const Tally&);  // complete: numbers survive the way there and back bit for bit
Tally tally_from_json(const nlohmann::json&);

}  // namespace saddle
