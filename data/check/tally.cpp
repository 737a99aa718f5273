#include "data/check/tally.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "dist/error.h"

namespace saddle {
namespace {

// How often each bit pattern of an integer of one or two bytes occurs. Neighbouring pixels are often equal:
// their counts go to different tables, or each would wait for the one before.
template <class T>
class Histogram {
 public:
  static constexpr uint64_t kPatterns = uint64_t{1} << (8 * sizeof(T));

  void add(const T* values, int64_t count) {
    int64_t i = 0;
    for (; i + kAtOnce <= count; i += kAtOnce) {
      uint64_t word = 0;
      std::memcpy(&word, values + i, sizeof word);
#pragma GCC unroll 8
      for (uint64_t k = 0; k < kAtOnce; ++k)
        ++seen_[k % kTables * kPatterns + (word >> (8 * sizeof(T) * k)) % kPatterns];
    }
    for (; i < count; ++i) ++seen_[uint64_t(values[i]) % kPatterns];
  }

  int64_t times(uint64_t pattern) const {
    int64_t sum = 0;
    for (uint64_t t = 0; t < kTables; ++t) sum += seen_[t * kPatterns + pattern];
    return sum;
  }

 private:
  static constexpr int64_t kAtOnce = sizeof(uint64_t) / sizeof(T);
  static constexpr uint64_t kTables = sizeof(T) == 1 ? 8 : 2;
  std::vector<int64_t> seen_ = std::vector<int64_t>(kTables * kPatterns);
};

// All figures follow from a histogram, exactly.
template <class T>
Tally by_histogram(const T* values, int64_t count) {
  Histogram<T> seen;
  seen.add(values, count);
  Tally out{.count = count};
  __int128_t sum = 0, squares = 0;
  for (uint64_t pattern = 0; pattern < seen.kPatterns; ++pattern) {
    const int64_t times = seen.times(pattern), value = T(pattern);
    if (times == 0) continue;
    if (value == 0) out.zeros = times;
    out.min = std::min(out.min, double(value));
    out.max = std::max(out.max, double(value));
    sum += times * value;
    squares += __int128_t(times) * value * value;
  }
  if (count == 0) return out;
  out.mean = double(sum) / double(count);
  out.squares = double(squares * count - sum * sum) / double(count);
  return out;
}

// Of all others, in two passes: the second knows the mean.
template <class T>
Tally by_passes(const T* values, int64_t count) {
  Tally out;
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto value = double(values[i]);
    if (!std::isfinite(value)) {
      ++(std::isnan(value) ? out.nans : out.infinities);
      continue;
    }
    out.zeros += value == 0;
    out.min = std::min(out.min, value);
    out.max = std::max(out.max, value);
    sum += value;
  }
  out.count = count - out.nans - out.infinities;
  if (out.count == 0) return out;
  out.mean = sum / double(out.count);
  for (int64_t i = 0; i < count; ++i) {
    const double off = double(values[i]) - out.mean;
    if (std::isfinite(off)) out.squares += off * off;
  }
  return out;
}

template <class T>
const T* as(const void* values) {
  return static_cast<const T*>(values);
}

nlohmann::json number(double value) {  // JSON has no infinity, which is what no value has for extremes
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json();
}

double number_or(const nlohmann::json& in, double otherwise) {
  return in.is_number() ? in.get<double>() : otherwise;
}

}  // namespace

double Tally::deviation() const {
  return count > 0 ? std::sqrt(squares / double(count)) : 0;
}

void Tally::merge(const Tally& other) {
  if (other.count > 0) {
    const double all = double(count + other.count), apart = other.mean - mean;
    squares += other.squares + apart * apart * double(count) * double(other.count) / all;
    mean += apart * double(other.count) / all;
  }
  count += other.count;
  zeros += other.zeros;
  nans += other.nans;
  infinities += other.infinities;
  min = std::min(min, other.min);
  max = std::max(max, other.max);
}

Tally tally(torch::ScalarType dtype, const void* values, int64_t count) {
  switch (dtype) {
    case torch::kByte:
      return by_histogram(as<uint8_t>(values), count);
    case torch::kChar:
      return by_histogram(as<int8_t>(values), count);
    case torch::kUInt16:
      return by_histogram(as<uint16_t>(values), count);
    case torch::kShort:
      return by_histogram(as<int16_t>(values), count);
    case torch::kInt:
      return by_passes(as<int32_t>(values), count);
    case torch::kLong:
      return by_passes(as<int64_t>(values), count);
    case torch::kHalf:
      return by_passes(as<c10::Half>(values), count);
    case torch::kFloat:
      return by_passes(as<float>(values), count);
    case torch::kDouble:
      return by_passes(as<double>(values), count);
    default:
      fail(Exit::bug, "no figures of {}", torch::toString(dtype));
  }
}

nlohmann::json to_json(const Tally& t) {
  return {{"count", t.count},     {"zeros", t.zeros},     {"nans", t.nans}, {"infinities", t.infinities},
          {"min", number(t.min)}, {"max", number(t.max)}, {"mean", t.mean}, {"squares", number(t.squares)}};
}

Tally tally_from_json(const nlohmann::json& in) {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  return {.count = in.at("count"),
          .zeros = in.at("zeros"),
          .nans = in.at("nans"),
          .infinities = in.at("infinities"),
          .min = number_or(in.at("min"), kNone),
          .max = number_or(in.at("max"), -kNone),
          .mean = number_or(in.at("mean"), 0),
          .squares = number_or(in.at("squares"), kNone)};
}

}  // namespace saddle
