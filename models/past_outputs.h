// An average over epochs of what a net made of each sample (Laine and Aila 2017, algorithm 2):
//   Z <- alpha Z + (1 - alpha) z,  target = Z / (1 - alpha^n)  of a sample that was seen n times
// A row a sample id, on every rank the same: 4 bytes a class and sample. It grows with the ids that come.
#pragma once

#include <memory>
#include <utility>

#include "models/system.h"

namespace saddle {

class PastOutputs {
 public:
  // Kept in the system as "keep.past": a row a sample, its last number how often it was seen.
  PastOutputs(System& system, int64_t numbers, double alpha);

  // Of the samples that the batch's field "id" [B] names: the averages [B, numbers], and 1 or 0 [B]: whether
  // a sample was seen at all. What this step adds does not count yet. No gradient.
  std::pair<torch::Tensor, torch::Tensor> targets(Step& step) const;
  // z [B, numbers] of this part of the batch, for `update`.
  void saw(Step& step, const torch::Tensor& z) const;
  // Collective, once a step: in the order of the global batch, so that any number of ranks and parts holds
  // the same, also where a sample comes twice.
  void update(Step& step) const;

 private:
  void reach(int64_t rows) const;
  struct Seen {
    int64_t first;  // of the global batch
    torch::Tensor id, z;
  };
  Comm comm_;
  double alpha_;
  int64_t numbers_;
  std::shared_ptr<torch::Tensor> table_;
  std::shared_ptr<std::vector<Seen>> step_;
};

}  // namespace saddle
