// Counter-based random numbers (Philox 4x32-10; Salmon et al. 2011). A value is a function of (seed, purpose,
// draw, global sample index, element) and of nothing else: not of rank, world size, thread or time.
#pragma once

#include "dist/tensor.h"

#include <cstdint>
#include <string_view>

namespace saddle {

// One independent stream of numbers. `purpose` names its use ("latent", "shuffle", a parameter's name);
// `draw` counts its uses, for instance the training step.
struct Stream {
  Stream(uint64_t seed, std::string_view purpose, uint64_t draw = 0);
  uint64_t key;
};

// The samples [first, first + count) of a batch, by their global index.
struct Range {
  int64_t first = 0;
  int64_t count = 0;
};
// A rank's contiguous share of `total` samples: the first total % size ranks have one more than the others.
Range share(int64_t total, int rank, int size);

// [range.count, shape...] on the host, in `dtype`. Sample i is the same whatever range it is asked in.
// Values are computed in float32 (uniform) or float64 (normal) and rounded, so every dtype sees one sequence.
torch::Tensor uniform(const Stream&, Range, at::IntArrayRef shape, torch::ScalarType dtype);  // [0, 1)
torch::Tensor normal(const Stream&, Range, at::IntArrayRef shape, torch::ScalarType dtype);   // N(0, 1)
torch::Tensor integers(const Stream&, Range, int64_t high);  // int64 in [0, high)

}  // namespace saddle
