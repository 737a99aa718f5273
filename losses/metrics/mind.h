// MIND, the Monge Inception distance (Berthet 2026, arXiv 2605.06797): the squared 2-Wasserstein distance of
// two sets of features, sliced along random directions.
#pragma once

#include "dist/tensor.h"

#include <cstdint>

namespace saddle {

struct MindOptions {
  int64_t directions = 1000;
  uint64_t seed = 2020;
};

// 3 D times the mean, over directions u of length 1, of mean((sort u.x - sort u.y)^2), of features `a` [N, D]
// and `b` [M, D]: 0 for equal sets, 3 |m|^2 in expectation for a set and the same one moved by m. Of sets of
// unequal size the larger is cut to a random subset. Subset and directions are those of torch-fidelity at the
// same seed (PyTorch's numbers on the host); the arithmetic is in float64. Not finite if a feature is not.
// Exit::usage for other shapes, empty sets or no direction.
double mind(const torch::Tensor& a, const torch::Tensor& b, const MindOptions& how = {});

}  // namespace saddle
