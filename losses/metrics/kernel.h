// Distances of two sets of features by a kernel, the squared maximum mean discrepancy (Gretton 2012):
// KID (Binkowski 2018) and CMMD (Jayasumana 2024). Call them so only where the features are those of the
// Inception network, or of CLIP.
// Features are [N, D] and [M, D]; Exit::usage for other shapes or too few samples. Values are not finite if a
// feature is not. Time grows with (N + M)^2 D, memory with block^2 only.
#pragma once

#include "dist/tensor.h"
#include "losses/metrics/features.h"

#include <cstdint>

namespace saddle {

// Of all samples at once, with the kernel (x.y / D + 1)^3. Unbiased: pairs of a sample with itself are left
// out (hence N, M >= 2), equal distributions have expectation 0, and a value may be negative.
double kid(const torch::Tensor& a, const torch::Tensor& b, int64_t block = kBlock);

// The same of subsets: `indices_a` [S, n] and `indices_b` [S, m] are int rows of `a` and `b`.
MeanStd kid_subsets(const torch::Tensor& a, const torch::Tensor& b, const torch::Tensor& indices_a,
                    const torch::Tensor& indices_b);

struct KidSubsets {
  int64_t subsets = 100;
  int64_t size = 1000;  // of a subset, a side: drawn without replacement
  uint64_t seed = 0;
};
// Exit::usage for subsets larger than a set.
MeanStd kid_subsets(const torch::Tensor& a, const torch::Tensor& b, const KidSubsets& how);

// 1000 times the squared discrepancy by exp(-|x - y|^2 / (2 10^2)), biased: pairs of a sample with itself
// count, as in the authors' code. Rows are taken as they are: normalise them to length 1 first.
double cmmd(const torch::Tensor& a, const torch::Tensor& b, int64_t block = kBlock);

}  // namespace saddle
