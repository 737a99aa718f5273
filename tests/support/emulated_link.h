// A slow network among ranks that share a host, for measuring how much of it a backward pass hides. The sums
// are true unless left out; the time at which they are handed over is the network's.
#pragma once

#include <chrono>
#include <limits>
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include "dist/comm.h"
#include "dist/worker.h"

namespace saddle::test {

struct Link {
  double latency = 0;                                          // seconds a collective
  double bandwidth = std::numeric_limits<double>::infinity();  // bytes a second
  bool offload = false;  // leaves the sums out: ranks only meet, as if a network card did the work
};

// Serves collectives one at a time, in order of call: each completes `latency + bytes / bandwidth` after it
// was called or after the one before it completed, whichever is later, and never before the true backend is
// done. Nobody computes meanwhile: the thread that waits sleeps. Its works have futures, which c10d::Reducer
// needs.
class EmulatedLink final : public c10d::Backend {
 public:
  EmulatedLink(const Comm& comm, Link link);

  const std::string getBackendName() const override { return "emulated"; }
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
  c10::intrusive_ptr<c10d::Work> start(c10::intrusive_ptr<c10d::Work> real, std::vector<at::Tensor> result);

  std::shared_ptr<c10d::Backend> real_;
  Link link_;
  std::chrono::steady_clock::time_point free_;  // of the worker
  Worker worker_;                               // last: completes what was started
};

// The same ranks behind such a network.
Comm emulate(const Comm& comm, Link link);

}  // namespace saddle::test
