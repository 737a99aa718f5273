// What nearest neighbours say of a generator: precision and recall (Kynkaanniemi 2019), density and coverage
// (Naeem 2020), and which sample of the data a generated one may have been copied from.
// Features are [N, D] and [M, D]; Exit::usage for other shapes. Distances are Euclidean.
// Products find candidates fast, differences decide: equal rows have distance 0, and a pair of rows the same
// distance in whatever block and order it stands. Time grows with (N + M)^2 D, memory with block^2 and block
// D only.
#pragma once

#include "dist/tensor.h"
#include "losses/metrics/features.h"

#include <cstdint>

namespace saddle {

// Every sample has a ball that reaches to its k-th neighbour of its own set, itself not counted. A sample is
// in a ball if it is nearer than the radius (`strict`: prdc, dgm-eval), or also at it (torch-fidelity).
struct Prdc {
  double precision;  // share of fakes in a ball of some real sample
  double recall;     // share of real samples in a ball of some fake
  double density;    // balls of real samples that a fake is in, mean over fakes, / k: may exceed 1
  double coverage;   // share of real samples in whose ball a fake is
};
// Needs more than k >= 1 samples a side. All NaN if a feature is not finite.
Prdc prdc(const torch::Tensor& real, const torch::Tensor& fake, int64_t k, bool strict = true,
          int64_t block = kBlock);

// For each of `queries` its nearest row of `data`, one of them if several are as near: index int64 [N] and distance float64
// [N]. A row of the data that is not finite is nobody's nearest. -1 and NaN for a query that has none.
struct Nearest {
  torch::Tensor index;
  torch::Tensor distance;
};
Nearest nearest(const torch::Tensor& queries, const torch::Tensor& data, int64_t block = kBlock);

}  // namespace saddle
