// Schemas and samples of every kind, for tests of shards.
#pragma once

#include <string>
#include <vector>

#include "data/schema.h"
#include "dist/random.h"

namespace saddle::test {

inline Field field(const std::string& name, std::vector<int64_t> shape, torch::ScalarType dtype,
                   int64_t classes = 0) {
  return {.name = name, .shape = std::move(shape), .dtype = dtype, .classes = classes, .class_names = {}};
}

inline Schema every_dtype() {
  return {.fields = {field("image", {3, 4, 5}, torch::kByte), field("int8", {2}, torch::kChar),
                     field("int16", {1}, torch::kShort), field("int32", {2, 2}, torch::kInt),
                     field("label", {}, torch::kLong, 5), field("x", {7}, torch::kFloat),
                     field("double", {}, torch::kDouble)}};
}

inline Batch samples(const Schema& schema, int64_t count, uint64_t seed = 0) {
  Batch out;
  for (const Field& f : schema.fields)
    out.set(f.name, uniform(Stream(seed, f.name), {.first = 0, .count = count}, f.shape, torch::kDouble)
                        .mul(f.classes ? double(f.classes) : 100)
                        .to(f.dtype));
  return out;
}

inline Schema labelled_points() {
  return {.fields = {field("x", {16}, torch::kFloat), field("label", {}, torch::kLong, 5)}};
}

}  // namespace saddle::test
