// One player's parameters as views of one flat vector, and their gradients of another, kept identical on all
// ranks by an all-reduce in buckets that overlaps the backward pass. Relies on equal parameters and equal
// order on all ranks.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dist/comm.h"
#include "dist/state.h"

namespace saddle {

struct Buckets {
  int64_t first_bytes = int64_t{1} << 20;  // small, so that the first all-reduce starts early
  int64_t bytes = int64_t{8} << 20;
};

class Replica {
 public:
  using Named = std::vector<std::pair<std::string, torch::Tensor>>;

  // Collective: weights are rank 0's from here on. Parameters of one dtype on one device, already where they
  // stay: they become views (`.to()` afterwards would undo it). Exit::bug for an empty list, mixed dtypes or
  // a repeated one.
  Replica(const Comm& comm, Named parameters, Buckets buckets = {});
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  torch::Tensor& weights() { return weights_; }      // [P]
  torch::Tensor& gradients() { return gradients_; }  // [P]; after `finish` the sum over ranks

  // Whether backward passes reach these parameters. The frozen net of a phase costs no weight gradients.
  void learn(bool yes);
  void zero_grad();
  // Before the last backward of an optimizer step: buckets reduce as they fill, always in the same order.
  void arm();
  // Collective, after that backward: reduces what no gradient reached, as zeros, and waits. Gradients are
  // summed; scale each rank's mean loss by 1 / comm.size() to have the gradient of the global mean.
  void finish();

  // Weights by parameter name.
  void visit(StateVisitor& visitor);

 private:
  struct Bucket {
    torch::Tensor gradients;  // a contiguous piece of gradients_
    int64_t parameters = 0;   // in it
    int64_t waiting = 0;      // for their gradients
    Wait wait;                // for its all-reduce
  };
  void flatten();
  void fill_buckets(const Buckets& sizes);
  void hook(size_t parameter);
  void arrived(size_t bucket);
  void launch_ready(bool all);

  Comm comm_;
  Named parameters_;
  torch::Tensor weights_, gradients_;
  std::vector<Bucket> buckets_;              // from the last parameter to the first, as backward reaches them
  std::vector<size_t> bucket_of_;            // by parameter
  std::vector<std::shared_ptr<void>> keep_;  // the accumulator nodes that carry the hooks
  std::shared_ptr<bool> alive_;              // hooks may outlive the replica
  size_t next_ = 0;                          // bucket to launch
  bool armed_ = false;
};

}  // namespace saddle
