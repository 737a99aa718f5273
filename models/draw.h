// The random numbers of one step or one drawing of samples. Each call is a stream of its own, keyed by (seed,
// purpose, step, number of the call); sample i of a call is keyed by its global index, so ranks draw slices
// of one sequence.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dist/random.h"

namespace saddle {

// Calls of a Draw and the tensors they returned, so that the same calls can be made again with other numbers
// in the same tensors: what a captured step reads must stay where it is.
struct Tape {
  struct Request {
    enum class Kind { latent, uniform, labels } kind;
    std::vector<int64_t> shape;  // of a sample
    int64_t classes = 0;         // of labels
    bool operator==(const Request&) const = default;
  };
  struct Entry {
    Request request;
    Range samples;
    int64_t call;  // its number, from 0 at the tape's begin
    torch::Tensor values;
  };
  std::vector<Entry> entries;
  int64_t calls = 0;  // by which the counter had advanced at the tape's end
};

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

  // `work` draws as ever; the tape holds what it drew.
  Tape record(const std::function<void()>& work);
  // `work` is handed the tape's tensors. It must make the tape's calls and no others, else Exit::bug.
  void play(const Tape& tape, const std::function<void()>& work);
  // Makes the tape's calls here and now: what they draw goes into the tape's tensors, in place.
  void refill(const Tape& tape);

 private:
  torch::Tensor answer(const Tape::Request& request);
  torch::Tensor make(const Tape::Request& request, int64_t call, Range samples) const;
  Where where_;
  int64_t calls_ = 0;
  Tape* recording_ = nullptr;
  int64_t recorded_from_ = 0;  // number of the call
  const Tape* playing_ = nullptr;
  size_t played_ = 0;  // entries
};

}  // namespace saddle
