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

// How gradients travel. Smaller buckets start earlier and leave less to wait for after the backward pass,
// larger ones pay the latency of fewer collectives.
struct Reduction {
  int64_t first_bytes = int64_t{1} << 20;  // of the first bucket: small, so that communication starts early
  int64_t bytes = 0;                       // of the others; 0: an eighth of the whole, within 1 and 25 MiB
  torch::ScalarType wire =
      torch::kFloat;  // kBFloat16 or kHalf halves the bytes of float32 and rounds the sum
};

class Replica {
 public:
  using Named = std::vector<std::pair<std::string, torch::Tensor>>;

  // Collective: weights are rank 0's from here on. Parameters of one dtype on one device, already where they
  // stay: they become views (`.to()` afterwards would undo it). `name` is the player's, for messages.
  // Exit::bug for an empty list, mixed dtypes or a repeated one.
  Replica(const Comm& comm, Named parameters, Reduction how = {}, std::string name = "replica");
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  torch::Tensor& weights() { return weights_; }  // [P]
  torch::Tensor& gradients();                    // [P]; after `finish` the sum over ranks

  // Whether backward passes reach these parameters. The frozen net of a phase costs no weight gradients.
  void learn(bool yes);
  void zero_grad();
  // Before the last of an optimizer step's backward passes: buckets reduce as they fill, in an order that is
  // the same on all ranks: at first from the last parameter to the first, then as rank 0 saw them fill. A
  // second backward pass after `arm` is an Exit::bug: what it adds would miss the reduction.
  void arm();
  // Collective, after that backward: reduces what no gradient reached, as zeros, and waits. Gradients are
  // summed; scale each rank's mean loss by its share of the samples to have the gradient of the global mean.
  // Exit::bug if the backward reached no parameter at all.
  void finish();
  // Parameters that the last armed backward did not reach, on this rank.
  std::vector<std::string> unreached() const;
  // Sizes of the buckets in bytes, in the order of their reduction.
  std::vector<int64_t> bucket_bytes() const;

  // Weights by parameter name.
  void visit(StateVisitor& visitor);

 private:
  struct Bucket {
    torch::Tensor gradients;  // a contiguous piece of gradients_
    torch::Tensor wire;       // what travels, if it is not that piece itself
    int64_t parameters = 0;   // in it
    int64_t waiting = 0;      // for their gradients
    Wait wait;                // for its all-reduce
    std::string name;
  };
  void flatten();
  void fill_buckets();
  void hook(size_t parameter);
  void take(size_t parameter);
  void settle();
  void arrived(size_t parameter);
  void launch_ready(bool all);
  void launch(Bucket& bucket);
  void agree_on_order();

  Comm comm_;
  Named parameters_;
  Reduction how_;
  std::string name_;
  torch::Tensor weights_, gradients_;
  std::vector<torch::Tensor> views_;         // of gradients_, by parameter
  std::vector<Bucket> buckets_;              // from the last parameter to the first
  std::vector<int64_t> order_, filled_;      // of buckets: to launch, as seen
  bool agreed_ = false;                      // on order_
  std::vector<size_t> bucket_of_;            // by parameter
  std::vector<char> reached_;                // by parameter, since `arm`
  std::vector<std::shared_ptr<void>> keep_;  // the accumulator nodes that carry the hooks
  std::shared_ptr<bool> alive_;              // hooks may outlive the replica
  size_t next_ = 0;                          // place in order_
  bool armed_ = false;
};

}  // namespace saddle
