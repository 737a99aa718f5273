// The random numbers of one step or one drawing of samples:
//   Draw draw({.seed = 1, .purpose = "sample", .samples = {0, 64}});
//   torch::Tensor z = draw.normal({100});                 // [64, 100]
//   torch::Tensor y = draw.integers(10);                  // [64], labels
//   torch::Tensor cut = draw.shared();                    // [], the same on all ranks
// Each call is a stream of its own, keyed by (seed, purpose, step, number of the call); sample i of a call is
// keyed by its global index, so ranks draw slices of one sequence.
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
    enum class Kind { normal, uniform, integers, noise, shared, value } kind;
    std::vector<int64_t> shape;  // of a sample; of the whole for `shared`
    int64_t high = 0;            // of integers
    std::function<double(int64_t step)> of = {};
    bool operator==(const Request& other) const {
      return kind == other.kind && shape == other.shape && high == other.high;
    }
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
    // Recorded numbers in place of random ones, for `normal` and `uniform`; `noise` is then zero.
    std::function<torch::Tensor(at::IntArrayRef shape)> replay = {};
    bool noise = true;  // false: `noise` is zero
  };
  explicit Draw(Where where) : where_(std::move(where)) {}

  // [samples.count, shape...] on the device. Ranks must make the same calls in the same order.
  torch::Tensor normal(at::IntArrayRef shape);        // N(0, 1)
  torch::Tensor uniform(at::IntArrayRef shape = {});  // U[0, 1)
  torch::Tensor integers(int64_t high);               // int64 in [0, high)
  // N(0, 1) that a net adds to what it computes; zero in exports and where Where::noise says so.
  torch::Tensor noise(at::IntArrayRef shape);
  // [shape...], U[0, 1): one draw for the global batch, equal on all ranks and in all parts of it.
  torch::Tensor shared(at::IntArrayRef shape = {});
  // [], of the step's number: what follows the step goes through here, so that a captured step does not keep
  // the number of the step it was captured in.
  torch::Tensor value(std::function<double(int64_t step)> of);

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
  torch::Tensor answer(Tape::Request request);
  torch::Tensor make(const Tape::Request& request, int64_t call, Range samples) const;
  Where where_;
  int64_t calls_ = 0;
  Tape* recording_ = nullptr;
  int64_t recorded_from_ = 0;  // number of the call
  const Tape* playing_ = nullptr;
  size_t played_ = 0;  // entries
};

}  // namespace saddle
