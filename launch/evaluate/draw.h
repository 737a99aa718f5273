// Samples that a system draws: all at once for a picture, or piece by piece for what measures many.
#pragma once

#include <functional>

#include "data/dataset.h"
#include "models/system.h"

namespace saddle {

struct Drawing {
  int64_t count = 64;
  uint64_t seed = 0;
  int64_t label = -1;    // of conditional systems; -1: all classes in turn
  bool raw = false;      // the live weights instead of the averaged ones
  bool latents = false;  // also as fields, named by input_name, and what samples are made of (given_name)
  const Dataset* data =
      nullptr;            // whose samples a system is given that makes its own of them (System::given)
  bool in_order = false;  // of `data` as they are packed, not as the seed shuffles them
};

// A classifier: what it makes of samples is a class.
bool tells_classes(const System& system);
bool same_classes(const Field& a, const Field& b);  // number and names
bool is_averaged(const System& system);             // samples are drawn with averaged weights
// Fields of the data that the system's samples are made of, labels apart.
std::vector<Field> made_of(const System& system);
// Of the i-th latent that samples are drawn from: z, z1, z2 ...
std::string input_name(size_t i);
// Of a field that samples are made of: "given_a".
std::string given_name(const Field& field);

// The drawing's samples, on the host. Exit::usage for a label that the system does not have, or for data
// that do not have what it makes its samples of.
Batch draw_samples(System& system, const Drawing& drawing);

// Collective over `comm`, the system's ranks. The drawing's samples in pieces of at most `piece` of all ranks
// together (0: as many as a rank holds at ease), each rank drawing its share of each: `use` gets the samples,
// on the device, and their places. It is called equally often on all ranks; a share may be empty.
void draw_pieces(System& system, const Drawing& drawing, const Comm& comm, int64_t piece,
                 const std::function<void(const Batch& samples, Range places)>& use);

// Samples a rank holds at ease when each has so many bytes.
int64_t samples_at_ease(int64_t bytes);

// A field of the samples at these places of the drawing's order, as nets see them.
torch::Tensor real_samples(const Dataset& data, const std::string& field, const Drawing& drawing,
                           Range places, torch::ScalarType dtype);
// The same in the order that the seed shuffles.
torch::Tensor real_samples(const Dataset& data, const std::string& field, uint64_t seed, Range places,
                           torch::ScalarType dtype);

}  // namespace saddle
