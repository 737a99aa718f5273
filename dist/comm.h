// The ranks of one job and the collectives among them: the only face through which ranks talk.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dist/tensor.h"

namespace c10d {
class Backend;
class Store;
}  // namespace c10d

namespace saddle {

class Watch;
struct Group;

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
  const std::shared_ptr<c10d::Backend>& backend() const { return backend_; }  // null for Comm alone()
  // The same ranks over another backend, such as one that emulates a slow link.
  Comm through(std::shared_ptr<c10d::Backend> backend) const;
  // Collective. The ranks that came with this rank's `color` (>= 0), in order of rank, as a Comm of their
  // own: what they do there concerns no other rank. The place on the host stays that among all ranks there.
  Comm split(int color) const;
  bool whole() const;  // all ranks of the job

  // `name` says in the flight record (flight.h) and in traces what a collective is for. Ranks that come to
  // collectives of different kind or size get an error, on cpu.
  // Collective, in place; returns when the result may be used on the current stream.
  void all_reduce(torch::Tensor tensor, Reduce how = Reduce::sum,
                  const std::string& name = "all_reduce") const;
  // Collective, in place sum; call the result before using `tensor`, which must be contiguous.
  Wait all_reduce_async(torch::Tensor tensor, const std::string& name = "all_reduce") const;
  void broadcast(torch::Tensor tensor, int root = 0, const std::string& name = "broadcast") const;
  torch::Tensor all_gather(const torch::Tensor& tensor,
                           const std::string& name = "all_gather") const;  // [size, shape...]

  // Collective, on the host, whatever the device.
  void barrier() const;
  std::vector<std::string> all_gather_text(const std::string& mine,
                                           const std::string& name = "all_gather_text") const;  // by rank
  std::string broadcast_text(const std::string& text, int root = 0) const;
  // Runs `work` here and waits for all ranks; if it threw on any, throws the lowest such rank's error on all.
  // For work that may fail on one rank only (files, devices): nobody is left waiting in a later collective,
  // except ranks outside a part of the job, which the error ends through World::fail.
  void together(const std::function<void()>& work, const std::string& name = "together") const;

 private:
  friend class World;
  Comm() = default;
  template <class Collective>
  auto entered(const std::string& name, int64_t bytes, Collective collective) const;
  uint64_t enter(const std::string& name, int64_t bytes) const;
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
  std::string host_;
  torch::Device device_ = torch::kCPU;
  std::shared_ptr<Group> group_;  // null for alone()
  std::shared_ptr<c10d::Backend> backend_;
  std::shared_ptr<c10d::Store> store_;  // where the ranks' NCCL meets; null without CUDA
};

// MPI's lifetime: one per process, made first thing in `main` on the main thread and outliving every Comm.
class World {
 public:
  // Its watchdogs meet on the network `watch_interface`, a name or an address of rank 0's host; empty: on
  // those that lead to the other hosts.
  World(int& argc, char**& argv, const std::string& watch_interface = "");
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
  // Ends every rank of the job with `status`, also ranks that are waiting in a collective; `cause` is the
  // last line printed.
  [[noreturn]] void fail(int status, const std::string& cause);
  // A rank that gives no sign of life for `timeout` seconds ends the job, and so does one that makes no
  // progress beyond its flight::limit; each rank then leaves its flight record in the folder `records`, if
  // that is not empty.
  void watch(double timeout, const std::string& records = "");
  // Where rank 0 waited for the other ranks' watchdogs: "10.0.0.1:4711"; the same on all ranks.
  std::vector<std::string> watch_doors() const;

 private:
  std::shared_ptr<Group> group_;
  std::unique_ptr<Watch> watch_;
};

std::string mpi_version();

}  // namespace saddle
