// What the measures of sets of features share: pieces of bounded size, distances, subsets and checks.
// A set of features is [N, D], one row a sample, of any dtype and on any device; measures compute in float64
// on the host. Features that are not finite make a measure NaN: a diverged generator is a result, not an
// error.
#pragma once

#include "dist/random.h"
#include "dist/tensor.h"

#include <cstdint>
#include <vector>

namespace saddle {

// Rows that a measure takes at a time, so that its memory does not grow with the square of N: blocks of
// kBlock x kBlock numbers (32 MiB) and kBlock x D features.
constexpr int64_t kBlock = 2048;

struct MeanStd {
  double mean;
  double std;  // of the population: divided by the number of values
};
MeanStd mean_std(const std::vector<double>& values);

// Exit::usage unless `a` is [N, D] and `b` [M, D] with N, M >= `least`. `measure` names what needs them.
void require_features(const char* measure, const torch::Tensor& a, const torch::Tensor& b, int64_t least = 1);

bool all_finite(const torch::Tensor& features);

// [0, total) in consecutive pieces of `size`, of which the last may be shorter. Exit::usage for a
// size below 1.
std::vector<Range> pieces(int64_t total, int64_t size);
// Those rows, in float64 on the host.
torch::Tensor rows_of(const torch::Tensor& features, Range range);

// Euclidean distances [N, M] of float64 [N, D] and [M, D]. From differences, not from products, which would
// lose half the digits of small distances: equal rows have distance 0, and a pair of rows the same distance
// in whatever block and order it stands.
torch::Tensor distances(const torch::Tensor& a, const torch::Tensor& b);

// `size` different numbers of [0, total), int64, in random order. Exit::usage if there are not so many.
torch::Tensor subset(const Stream& stream, int64_t total, int64_t size);

}  // namespace saddle
