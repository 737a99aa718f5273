// Pictures of what a system generates: a grid of images, or a scatter plot of points over the data's.
#pragma once

#include "data/dataset.h"
#include "models/system.h"

namespace saddle {

struct Drawing {
  int64_t count = 64;
  uint64_t seed = 0;
  int64_t label = -1;    // of conditional systems; -1: all classes in turn
  bool raw = false;      // the live weights instead of the averaged ones
  bool latents = false;  // also as fields, named by input_name
  const Dataset* data =
      nullptr;  // whose samples a system is given that makes its own of them (System::given)
};

// A classifier: what it makes of samples is a class.
bool tells_classes(const System& system);
// Of the i-th latent that samples are drawn from: z, z1, z2 ...
std::string input_name(size_t i);
// Of a field that samples are made of: "given_a".
std::string given_name(const Field& field);

// `count` samples, drawn in pieces.
Batch draw_samples(System& system, const Drawing& drawing);
// Collective over host ranks. The same samples, each rank drawing its share, which need not be equal.
Batch draw_samples(System& system, const Drawing& drawing, const Comm& host);

// uint8 [3 or 1, H, W]. Images: a grid, of few classes in turn a column each under its name; of a system that
// makes images of images, what it was given beside what it made of it; of a classifier, images under
// the classes that it tells. Vectors: real points grey, generated
// ones in colour; of more than two dimensions the data's two principal ones. `schema` is of the data; they
// themselves may be null for images.
torch::Tensor preview(System& system, const Drawing& drawing, const Schema& schema, const Dataset* data);
// Real samples in the layout of `preview`, as a perfect generator's would look.
torch::Tensor real_preview(System& system, const Drawing& drawing, const Dataset& data);

// A field of the samples at these places of an order that the seed shuffles, as nets see them.
torch::Tensor real_samples(const Dataset& data, const std::string& field, uint64_t seed, Range places,
                           torch::ScalarType dtype);

}  // namespace saddle
