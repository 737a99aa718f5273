// The random numbers of one step or one drawing of samples. Each call is a stream of its own, keyed by (seed,
// purpose, step, number of the call); sample i of a call is keyed by its global index, so ranks draw slices
// of one sequence.
#pragma once

#include <functional>
#include <string>

#include "dist/random.h"

namespace saddle {

class Draw {
 public:
  struct Where {
    uint64_t seed = 0;
    std::string purpose;
    int64_t step = 0;
    Range samples;  // of the global batch, this rank's slice
    torch::Device device = torch::kCPU;
    torch::ScalarType dtype = torch::kFloat;
    std::function<torch::Tensor(at::IntArrayRef shape)> replay =
        {};  // of recorded numbers, in place of random ones
  };
  explicit Draw(Where where) : where_(std::move(where)) {}

  // [samples.count, ...] on the device. Ranks must make the same calls in the same order.
  torch::Tensor latent(int64_t size);                 // N(0, 1)
  torch::Tensor uniform(at::IntArrayRef shape = {});  // [0, 1)
  torch::Tensor labels(int64_t classes);              // int64, uniform over the classes
  int64_t count() const { return where_.samples.count; }
  Range samples() const { return where_.samples; }
  int64_t calls() const { return calls_; }
  // Goes on with these samples, as if `calls` calls had been made: the parts of a batch draw what the whole
  // does.
  void rewind(Range samples, int64_t calls) {
    where_.samples = samples;
    calls_ = calls;
  }
  torch::Device device() const { return where_.device; }

 private:
  Stream next();
  Where where_;
  int64_t calls_ = 0;
};

}  // namespace saddle
