#include "dist/comm.h"

#include <mpi.h>
#include <unistd.h>

#include <cstdlib>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "dist/cuda/load.h"
#include "dist/error.h"
#include "dist/log.h"
#include "dist/mpi_backend.h"

namespace saddle {
namespace {

// The control plane: text and barriers among ranks, apart from the tensors' communicator.
MPI_Comm control = MPI_COMM_NULL;

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

// What went wrong on one rank, as it travels to the others: exit status, newline, message.
std::string outcome(const std::function<void()>& work) {
  try {
    work();
    return {};
  } catch (const Error& e) {
    return fmt::format("{}\n{}", static_cast<int>(e.kind), e.what());
  } catch (const c10::Error& e) {
    return fmt::format("{}\n{}", static_cast<int>(Exit::bug), e.what_without_backtrace());
  } catch (const std::exception& e) {
    return fmt::format("{}\n{}", static_cast<int>(Exit::bug), e.what());
  }
}

// c10d's own pointers need its whole headers, which every user of comm.h would pay for.
std::shared_ptr<c10d::Backend> shared(c10::intrusive_ptr<c10d::Backend> backend) {
  c10d::Backend* raw = backend.get();
  return {raw, [backend](c10d::Backend*) mutable { backend.reset(); }};
}

c10d::ReduceOp reduce_op(Reduce how) {
  switch (how) {
    case Reduce::sum:
      return c10d::ReduceOp::SUM;
    case Reduce::average:
      return c10d::ReduceOp::AVG;
    case Reduce::min:
      return c10d::ReduceOp::MIN;
    case Reduce::max:
      return c10d::ReduceOp::MAX;
  }
  fail(Exit::bug, "unknown reduction");
}

// Collective. ProcessGroupNCCL meets through a store on rank 0, whose address travels through MPI.
std::shared_ptr<c10d::Backend> nccl(const CudaPlugin& cuda, const Comm& comm) {
  // A host's own name need not resolve; between hosts it must.
  const std::string host = comm.local_size() == comm.size() ? "127.0.0.1" : comm.host();
  c10::intrusive_ptr<c10d::Store> store;
  std::string address;
  if (comm.rank() == 0) {
    auto server = c10::make_intrusive<c10d::TCPStore>(
        host, c10d::TCPStoreOptions{.port = 0, .isServer = true, .numWorkers = std::nullopt});
    address = fmt::format("{} {}", host, server->getPort());
    store = server;
  }
  address = comm.broadcast_text(address);
  if (comm.rank() != 0) {
    const size_t space = address.find(' ');
    store = c10::make_intrusive<c10d::TCPStore>(
        address.substr(0, space),
        c10d::TCPStoreOptions{.port = static_cast<uint16_t>(std::stoi(address.substr(space + 1)))});
  }
  return shared(cuda.nccl(store, comm.rank(), comm.size(), comm.device().index()));
}

}  // namespace

World::World(int& argc, char**& argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
  require(provided == MPI_THREAD_MULTIPLE, Exit::usage,
          "this MPI gives no MPI_THREAD_MULTIPLE: use an OpenMPI built with it (Debian's is)");
  MPI_Comm_dup(MPI_COMM_WORLD, &control);
  log::start(rank(), size());
}

World::~World() {
  MPI_Comm_free(&control);
  MPI_Finalize();
}

int World::rank() const {
  int rank = 0;
  MPI_Comm_rank(control, &rank);
  return rank;
}

int World::size() const {
  int size = 1;
  MPI_Comm_size(control, &size);
  return size;
}

void World::barrier() const {
  quiet_barrier(control);
}

void World::abort(int status) {
  MPI_Abort(MPI_COMM_WORLD, status);
  std::abort();
}

Comm World::comm(const std::string& device) {
  require(device == "auto" || device == "cpu" || device == "cuda", Exit::usage,
          "device is auto, cpu or cuda, found '{}'", device);
  Comm comm;
  comm.rank_ = rank();
  comm.size_ = size();
  comm.host_ = host_name();
  MPI_Comm local = MPI_COMM_NULL;
  MPI_Comm_split_type(control, MPI_COMM_TYPE_SHARED, comm.rank_, MPI_INFO_NULL, &local);
  MPI_Comm_rank(local, &comm.local_rank_);
  MPI_Comm_size(local, &comm.local_size_);
  MPI_Comm_free(&local);

  const CudaPlugin* cuda = device == "cpu" ? nullptr : cuda_plugin();
  const int devices = cuda ? cuda->device_count() : 0;
  // Two ranks on one device are allowed only when asked for by name: NCCL refuses them unless told otherwise.
  int usable = device == "auto" ? devices >= comm.local_size_ : devices > 0;
  MPI_Allreduce(MPI_IN_PLACE, &usable, 1, MPI_INT, MPI_MIN, control);
  require(
      usable || device != "cuda", Exit::usage,
      "device=cuda, but not every rank has a CUDA device ({}): use device=cpu",
      cuda ? fmt::format("{} has {} for {} ranks", comm.host_, devices, comm.local_size_) : why_no_cuda());
  if (usable && device != "cpu") {
    comm.device_ = torch::Device(torch::kCUDA, static_cast<c10::DeviceIndex>(comm.local_rank_ % devices));
    comm.backend_ = nccl(*cuda, comm);
  } else {
    comm.backend_ = shared(c10::make_intrusive<MpiBackend>(control));
  }
  return comm;
}

void Comm::all_reduce(torch::Tensor tensor, Reduce how) const {
  if (size_ == 1) return;
  std::vector<torch::Tensor> tensors{std::move(tensor)};
  c10d::AllreduceOptions options;
  options.reduceOp = reduce_op(how);
  backend_->allreduce(tensors, options)->wait();
}

Wait Comm::all_reduce_async(torch::Tensor tensor) const {
  if (size_ == 1) return [] {};
  std::vector<torch::Tensor> tensors{std::move(tensor)};
  return [work = backend_->allreduce(tensors)] { work->wait(); };
}

void Comm::broadcast(torch::Tensor tensor, int root) const {
  if (size_ == 1) return;
  std::vector<torch::Tensor> tensors{std::move(tensor)};
  c10d::BroadcastOptions options;
  options.rootRank = root;
  backend_->broadcast(tensors, options)->wait();
}

torch::Tensor Comm::all_gather(const torch::Tensor& tensor) const {
  if (size_ == 1) return tensor.clone().unsqueeze(0);
  std::vector<std::vector<torch::Tensor>> parts(1);
  for (int r = 0; r < size_; ++r) parts[0].push_back(torch::empty_like(tensor));
  std::vector<torch::Tensor> mine{tensor.contiguous()};
  backend_->allgather(parts, mine)->wait();
  return torch::stack(parts[0]);
}

void Comm::barrier() const {
  if (size_ > 1) quiet_barrier(control);
}

std::vector<std::string> Comm::all_gather_text(const std::string& mine) const {
  if (size_ == 1) return {mine};
  quiet_barrier(control);
  std::vector<int> lengths(size_), starts(size_ + 1);
  const int length = static_cast<int>(mine.size());
  MPI_Allgather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, control);
  for (int r = 0; r < size_; ++r) starts[r + 1] = starts[r] + lengths[r];
  std::string all(starts[size_], '\0');
  MPI_Allgatherv(mine.data(), length, MPI_CHAR, all.data(), lengths.data(), starts.data(), MPI_CHAR, control);
  std::vector<std::string> texts;
  for (int r = 0; r < size_; ++r) texts.push_back(all.substr(starts[r], lengths[r]));
  return texts;
}

std::string Comm::broadcast_text(const std::string& text, int root) const {
  return all_gather_text(rank_ == root ? text : std::string())[root];
}

void Comm::together(const std::function<void()>& work) const {
  const std::vector<std::string> outcomes = all_gather_text(outcome(work));
  for (int r = 0; r < size_; ++r) {
    if (outcomes[r].empty()) continue;
    const size_t line = outcomes[r].find('\n');
    const auto kind = static_cast<Exit>(std::stoi(outcomes[r].substr(0, line)));
    Error error(kind, outcomes[r].substr(line + 1));
    error.everywhere = true;
    throw error;
  }
}

std::string mpi_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(text, &length);
  return std::string(text, length).substr(0, std::string(text, length).find(','));
}

}  // namespace saddle
