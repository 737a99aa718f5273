// c10d::Backend over MPI for cpu tensors (the LibTorch wheel has none).
#pragma once

#include <mpi.h>

#include <atomic>
#include <memory>
#include <optional>
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include "dist/worker.h"

namespace saddle {

// Waits until every rank of `comm` has come here, leaving the core to others meanwhile (MPI itself spins).
void quiet_barrier(MPI_Comm comm);

// Collectives on contiguous cpu tensors, run in order of call by one thread on a communicator of its own.
// Every returned Work completes when the tensor holds the result; `wait` throws what the collective threw.
// Ranks that come to collectives of different kind, size, dtype or name (flight.h) get an error that says who
// came to which, instead of a hang or a wrong sum; and so do all later collectives.
class MpiBackend final : public c10d::Backend {
 public:
  // Collective: duplicates `parent`. `entered` counts the collectives of its ranks, here and elsewhere: who
  // missed one is told by the number of the next.
  MpiBackend(MPI_Comm parent, std::shared_ptr<const std::atomic<uint64_t>> entered);
  ~MpiBackend() override;  // completes what was started

  const std::string getBackendName() const override { return "mpi"; }
  c10::intrusive_ptr<c10d::Work> allreduce(std::vector<at::Tensor>& tensors,
                                           const c10d::AllreduceOptions& options = {}) override;
  c10::intrusive_ptr<c10d::Work> broadcast(std::vector<at::Tensor>& tensors,
                                           const c10d::BroadcastOptions& options = {}) override;
  c10::intrusive_ptr<c10d::Work> allgather(std::vector<std::vector<at::Tensor>>& outputs,
                                           std::vector<at::Tensor>& inputs,
                                           const c10d::AllgatherOptions& options = {}) override;
  c10::intrusive_ptr<c10d::Work> barrier(const c10d::BarrierOptions& options = {}) override;

 private:
  class Job;
  c10::intrusive_ptr<c10d::Work> start(c10d::OpType type, const at::Tensor& tensor,
                                       std::function<void()> collective);

  MPI_Comm comm_ = MPI_COMM_NULL;
  std::shared_ptr<const std::atomic<uint64_t>> entered_;
  std::exception_ptr broken_;  // the worker's: the first failure
  std::optional<Worker> worker_{std::in_place};
};

}  // namespace saddle
