// Global shuffle without a table: a permutation of [0, size) per epoch that can be evaluated at any position.
#pragma once

#include <cstdint>

namespace saddle {

// Position p of an endless sequence of epochs -> sample index. Each index occurs once in [k * size, (k+1) *
// size). A Feistel network over the next power of four with cycle walking: O(1) memory and seek.
class Shuffle {
 public:
  Shuffle(int64_t size, uint64_t seed) : size_(size), seed_(seed) {}
  int64_t operator()(int64_t position) const;

 private:
  int64_t size_;
  uint64_t seed_;
};

}  // namespace saddle
