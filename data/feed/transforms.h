// What readers do to samples on their way into a batch. A transform is an exact function of the sample and
// its position: epochs differ, while ranks, threads and resumed runs agree.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/schema.h"

namespace saddle {

struct Transform {
  std::function<Schema(const Schema&)> schema;  // of what comes out
  // A batch on the host, its positions in the endless sequence. Called from several threads.
  std::function<Batch(const Batch&, const std::vector<int64_t>& positions)> apply;
};

// Both treat as pictures the first field of three or more extents and, in the same way, every other field
// that ends in the same height and width: pairs and masks stay aligned. Exit::usage if there is none.
Transform mirror(uint64_t seed);  // left and right swapped, of every other sample
Transform crop(int64_t height, int64_t width, uint64_t seed);  // a part at a random place

// `length` consecutive steps of the variable field, beginning anywhere: a field of fixed extent, padded with
// zeros where a sample is shorter; its length stays beside it.
Transform clip(const std::string& field, int64_t length, uint64_t seed);

}  // namespace saddle
