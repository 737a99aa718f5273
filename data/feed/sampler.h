// Orders: which sample stands at a position of the endless sequence that all ranks share. An order is a pure
// function of the position, so the position is all the state there is and any of it is found at once.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace saddle {

// Position -> sample index. Thread-safe, the same on every rank.
using Order = std::function<int64_t(int64_t position)>;

// A permutation of [0, size) that can be evaluated at any place in O(1) memory: a Feistel network over the
// next power of four with cycle walking, 4 steps on average at most. `steps`, if given, counts them.
int64_t permute(int64_t value, int64_t size, uint64_t key, int* steps = nullptr);

// Global shuffle without a table: an own permutation every epoch. Each index occurs once in [k * size, (k +
// 1) * size).
class Shuffle {
 public:
  Shuffle(int64_t size, uint64_t seed) : size_(size), seed_(seed) {}
  int64_t operator()(int64_t position) const;

 private:
  int64_t size_;
  uint64_t seed_;
};

// The samples at `count` positions from `first` on.
std::vector<int64_t> samples_at(const Order& order, int64_t first, int64_t count);

Order sequential(int64_t size);  // 0, 1, ... size - 1, 0, ...

// For storage that reads neighbours cheaply. The samples are cut into blocks of `window` consecutive ones
// (the last may be shorter). An epoch takes the blocks in a random order, `mix` at a time, and the samples of
// those in a random order: each once, in O(1) memory. Only mix * window samples are near each other in time,
// so what is packed by class needs a large `mix`; with one group of blocks it is a global shuffle.
Order local_shuffle(int64_t size, int64_t window, int64_t mix, uint64_t seed);

// The samples of each class: 4 bytes a sample and 8 a class.
class ClassTable {
 public:
  explicit ClassTable(const std::vector<int64_t>& labels, int64_t classes);
  int64_t classes() const { return int64_t(starts_.size()) - 1; }
  int64_t count(int64_t label) const { return starts_[size_t(label) + 1] - starts_[size_t(label)]; }
  int64_t sample(int64_t label, int64_t number) const {
    return samples_[size_t(starts_[size_t(label)] + number)];
  }

 private:
  std::vector<int64_t> starts_;    // by class, and the end
  std::vector<uint32_t> samples_;  // by class, then by index
};
// Reads the int64 [] field `label` of every sample, in `threads` threads. Exit::data for labels out of range.
ClassTable class_table(const Dataset& data, const std::string& label, int threads);

// Every class equally often: each once in as many positions as there are classes with samples, in a random
// order; the k-th sample of a class follows a shuffle of that class. So each sample of a class occurs once
// before any occurs twice.
Order balanced(ClassTable table, uint64_t seed);
// Draws with replacement: class c with probability weights[c] / sum, then one of its samples. Exit::usage if
// the weights do not fit the classes.
Order weighted(ClassTable table, const std::vector<double>& weights, uint64_t seed);

}  // namespace saddle
