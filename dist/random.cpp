#include "dist/random.h"

#include <ATen/core/PhiloxRNGEngine.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "dist/error.h"

namespace saddle {
namespace {

// Fills sample by sample; `fill(engine, row, n)` writes the n elements of one sample.
template <class T, class Fill>
torch::Tensor rows(const Stream& stream, Range range, at::IntArrayRef shape, torch::ScalarType dtype,
                   Fill fill) {
  std::vector<int64_t> sizes{range.count};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  torch::Tensor out = torch::empty(sizes, torch::dtype<T>());
  const int64_t n = c10::multiply_integers(shape);
  T* row = out.data_ptr<T>();
  for (int64_t i = 0; i < range.count; ++i, row += n) {
    at::philox_engine engine(stream.key, static_cast<uint64_t>(range.first + i));
    fill(engine, row, n);
  }
  return out.to(dtype);
}

double open_unit(at::philox_engine& engine) {
  return (engine() + 0.5) * 0x1p-32;
}  // (0, 1)

}  // namespace

Range share(int64_t total, int rank, int size) {
  const int64_t least = total / size, more = total % size;
  return {rank * least + std::min<int64_t>(rank, more), least + (rank < more ? 1 : 0)};
}

Stream::Stream(uint64_t seed, std::string_view purpose, uint64_t draw) {
  const uint64_t words[] = {seed, XXH3_64bits(purpose.data(), purpose.size()), draw};
  key = XXH3_64bits(words, sizeof words);
}

torch::Tensor uniform(const Stream& stream, Range range, at::IntArrayRef shape, torch::ScalarType dtype) {
  return rows<float>(stream, range, shape, dtype, [](at::philox_engine& engine, float* row, int64_t n) {
    for (int64_t j = 0; j < n; ++j) row[j] = static_cast<float>(engine() >> 8) * 0x1p-24F;
  });
}

torch::Tensor normal(const Stream& stream, Range range, at::IntArrayRef shape, torch::ScalarType dtype) {
  return rows<double>(stream, range, shape, dtype, [](at::philox_engine& engine, double* row, int64_t n) {
    for (int64_t j = 0; j < n; j += 2) {  // Box and Muller 1958
      const double radius = std::sqrt(-2 * std::log(open_unit(engine)));
      const double angle = 2 * std::numbers::pi * open_unit(engine);
      row[j] = radius * std::cos(angle);
      if (j + 1 < n) row[j + 1] = radius * std::sin(angle);
    }
  });
}

torch::Tensor integers(const Stream& stream, Range range, int64_t high) {
  require(high > 0 && high <= INT32_MAX, Exit::bug, "integers: high must be in [1, 2^31), found {}", high);
  return rows<int64_t>(stream, range, {}, torch::kLong,
                       [high](at::philox_engine& engine, int64_t* row, int64_t n) {
                         // Lemire's multiply-shift: bias below 2^-32 * high.
                         for (int64_t j = 0; j < n; ++j)
                           row[j] = static_cast<int64_t>((uint64_t{engine()} * uint64_t(high)) >> 32);
                       });
}

}  // namespace saddle
