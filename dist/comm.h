// The ranks of one job and the collectives among them: the only face through which ranks talk.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dist/tensor.h"

namespace c10d {
class Backend;
}

namespace saddle {

enum class Reduce { sum, average, min, max };
using Wait = std::function<void()>;  // returns when the result may be used; throws what the collective threw

// The ranks among each other. Cheap to copy. "Collective" means that every rank must call, in the same order.
// Tensors travel through a c10d::Backend: MpiBackend for cpu tensors, upstream's ProcessGroupNCCL for cuda.
class Comm {
 public:
  int rank() const { return rank_; }
  int size() const { return size_; }
  int local_rank() const { return local_rank_; }  // among the ranks of this host
  int local_size() const { return local_size_; }
  const std::string& host() const { return host_; }
  torch::Device device() const { return device_; }
  c10d::Backend& backend() const { return *backend_; }  // not of Comm alone()

  // Collective, in place; returns when the result may be used on the current stream.
  void all_reduce(torch::Tensor tensor, Reduce how = Reduce::sum) const;
  // Collective, in place sum; call the result before using `tensor`, which must be contiguous.
  Wait all_reduce_async(torch::Tensor tensor) const;
  void broadcast(torch::Tensor tensor, int root = 0) const;
  torch::Tensor all_gather(const torch::Tensor& tensor) const;  // [size, shape...]

  // Collective, on the host, whatever the device.
  void barrier() const;
  std::vector<std::string> all_gather_text(const std::string& mine) const;  // by rank
  std::string broadcast_text(const std::string& text, int root = 0) const;
  // Runs `work` here and waits for all ranks; if it threw on any, throws the lowest such rank's error on all.
  // For work that may fail on one rank only (files, devices): nobody is left waiting in a later collective.
  void together(const std::function<void()>& work) const;

 private:
  friend class World;
  Comm() = default;
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
  std::string host_;
  torch::Device device_ = torch::kCPU;
  std::shared_ptr<c10d::Backend> backend_;
};

// MPI's lifetime: one per process, made first thing in `main` on the main thread and outliving every Comm.
class World {
 public:
  World(int& argc, char**& argv);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  int rank() const;
  int size() const;
  // Collective. "auto" takes CUDA where every rank has a device of its own, else the CPU; "cpu", "cuda".
  Comm comm(const std::string& device = "auto");
  // This rank by itself, on the cpu: the same code without the others.
  static Comm alone() { return {}; }
  void barrier() const;  // collective
  // Ends every rank of the job with `status`, also ranks that are waiting in a collective.
  [[noreturn]] void abort(int status);
};

std::string mpi_version();

}  // namespace saddle
