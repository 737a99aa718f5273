#include "data/sampler.h"

#include <bit>

#include "dist/error.h"
#include "dist/random.h"

namespace saddle {
namespace {

// Small domains need more rounds than Luby and Rackoff's four to look random.
constexpr int kRounds = 8;

uint64_t mix(uint64_t x) {  // the finaliser of SplitMix64 (Steele et al. 2014)
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// A permutation of [0, 4^half).
uint64_t feistel(uint64_t value, int half, uint64_t key) {
  const uint64_t mask = (uint64_t{1} << half) - 1;
  uint64_t left = value >> half, right = value & mask;
  for (int round = 0; round < kRounds; ++round) {
    key += 0x9e3779b97f4a7c15;
    const uint64_t next = left ^ (mix(key ^ mix(right + 1)) & mask);
    left = right;
    right = next;
  }
  return left << half | right;
}

}  // namespace

int64_t Shuffle::operator()(int64_t position) const {
  require(size_ > 0 && position >= 0, Exit::bug, "shuffle: position {} of {} samples", position, size_);
  const int half = (std::bit_width(uint64_t(size_ - 1)) + 1) / 2;
  const uint64_t key = Stream(seed_, "shuffle", position / size_).key;
  uint64_t value = position % size_;
  // The cycle through a number below size_ returns below size_; at most 4 steps on average.
  do value = feistel(value, half, key);
  while (value >= uint64_t(size_));
  return int64_t(value);
}

}  // namespace saddle
