// A small data set of random labelled images, in memory.
#pragma once

#include "data/dataset.h"
#include "dist/random.h"

namespace saddle::test {

inline std::shared_ptr<Dataset> images(int64_t count, int64_t size = 16) {
  const Field image{
      .name = "image", .shape = {1, size, size}, .dtype = torch::kByte, .classes = 0, .class_names = {}};
  const Field label{.name = "label", .shape = {}, .dtype = torch::kLong, .classes = 3, .class_names = {}};
  const Stream stream(5, "images");
  return in_memory(
      {{image, label}},
      {{"image", (uniform(stream, {0, count}, {1, size, size}, torch::kFloat) * 255).to(torch::kByte)},
       {"label", integers(stream, {0, count}, 3)}});
}

}  // namespace saddle::test
