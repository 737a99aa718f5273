// Batches of one or several feeds in their global order, read ahead by threads. Global batch k is the
// positions [k * batch, (k + 1) * batch) of each feed's order; a rank gets its contiguous share, which may be
// empty. So the samples of a batch do not depend on the number of ranks, and the state is one integer.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/feed/feed.h"
#include "dist/state.h"

namespace saddle {

struct LoaderOptions {
  int64_t batch = 64;  // global; share() of dist/random.h divides it among ranks
  int rank = 0;
  int size = 1;
  uint64_t seed = 0;  // of the shuffle, where a data set is given without an order
  int threads = 1;
  int prefetch = 4;   // batches held ready, and no more
  int readahead = 8;  // batches beyond those that slow storage is told of; 0: none
  torch::Device device = torch::kCPU;
  torch::ScalarType dtype = torch::kFloat;  // of images and other floating-point fields
};

class Loader {
 public:
  Loader(std::vector<Feed> feeds, LoaderOptions options);
  Loader(std::shared_ptr<Dataset> data, LoaderOptions options);  // shuffled globally
  ~Loader();                                                     // stops the threads
  // The next batch: this rank's slice, pictures as floats in [-1, 1], on the device. Errors of the reading
  // threads are thrown here. Not thread-safe.
  Batch next();
  int64_t batches() const;  // handed out since the beginning of training: the whole state
  void visit(StateVisitor& visitor);
  double waited() const;        // seconds `next` has waited for data
  int64_t substituted() const;  // samples handed out by this loader that stand in for damaged ones

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// How a sample enters a net: uint8 and uint16 -> floats in [-1, 1], other floats cast, integers untouched.
torch::Tensor to_model(const torch::Tensor& raw, torch::Device device, torch::ScalarType dtype);
// Rows of zeros as nets see them, with the lengths of variable fields.
Batch zero_rows(const std::vector<Field>& fields, int64_t rows, torch::Device device,
                torch::ScalarType dtype);

}  // namespace saddle
