// State of a training, for comparisons.
#pragma once

#include "launch/engine/trainer.h"

namespace saddle::test {

// A copy that later steps leave alone.
inline State state_of(Trainer& trainer) {
  State state = collect([&](StateVisitor& v) { trainer.visit(v); });
  for (auto& [name, tensor] : state.tensors) tensor = tensor.clone();
  return state;
}

inline uint64_t digest_of(Trainer& trainer) {
  return digest([&](StateVisitor& v) { trainer.visit(v); });
}

// Largest difference of two tensors of one shape, which may be empty.
inline double largest_difference(const torch::Tensor& a, const torch::Tensor& b) {
  return a.numel() == 0 ? 0 : (a - b).abs().max().item<double>();
}

}  // namespace saddle::test
