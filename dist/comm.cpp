#include "dist/comm.h"

#include <mpi.h>

#include <atomic>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <tuple>

#include "dist/caught.h"
#include "dist/cuda/load.h"
#include "dist/error.h"
#include "dist/flight.h"
#include "dist/log.h"
#include "dist/mpi_backend.h"
#include "dist/mpi_start.h"
#include "dist/process.h"
#include "dist/watch.h"

namespace saddle {

// The control plane of some ranks: text and barriers, apart from the tensors' communicator.
struct Group {
  Group() = default;  // of a plain process, where MPI is not started
  explicit Group(MPI_Comm made) : control(made) {
    MPI_Comm_rank(control, &rank);
    MPI_Comm_size(control, &size);
    int all = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &all);
    whole = size == all;
  }
  ~Group() {
    if (control != MPI_COMM_NULL) MPI_Comm_free(&control);
  }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  MPI_Comm control = MPI_COMM_NULL;
  int rank = 0, size = 1;
  bool whole = true;                  // all ranks of the job
  std::atomic<uint64_t> entered = 0;  // collectives of these ranks, of any Comm
  int splits = 0;
};

namespace {

// What went wrong on one rank, as it travels to the others: exit status, newline, message.
std::string outcome(const std::function<void()>& work) {
  try {
    work();
    return {};
  } catch (...) {
    const Error e = caught();
    return fmt::format("{}\n{}", static_cast<int>(e.kind), e.what());
  }
}

// c10d's own pointers need its whole headers, which every user of comm.h would pay for.
template <class T>
std::shared_ptr<T> shared(c10::intrusive_ptr<T> owned) {
  T* raw = owned.get();
  return {raw, [owned](T*) mutable { owned.reset(); }};
}

std::shared_ptr<c10d::Backend> mpi(const std::shared_ptr<Group>& group) {
  return shared<c10d::Backend>(c10::make_intrusive<MpiBackend>(
      group->control, std::shared_ptr<const std::atomic<uint64_t>>(group, &group->entered)));
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

// Collective. By rank.
std::vector<std::string> gather_text(const Group& group, const std::string& mine) {
  const auto [control, size] = std::pair(group.control, group.size);
  quiet_barrier(control);
  std::vector<int> lengths(size), starts(size + 1);
  const int length = static_cast<int>(mine.size());
  MPI_Allgather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, control);
  for (int r = 0; r < size; ++r) starts[r + 1] = starts[r] + lengths[r];
  std::string all(starts[size], '\0');
  MPI_Allgatherv(mine.data(), length, MPI_CHAR, all.data(), lengths.data(), starts.data(), MPI_CHAR, control);
  std::vector<std::string> texts;
  for (int r = 0; r < size; ++r) texts.push_back(all.substr(starts[r], lengths[r]));
  return texts;
}

// Collective. Where ProcessGroupNCCL meets: a store on rank 0, which this rank reaches at `host`; its port
// travels through MPI.
c10::intrusive_ptr<c10d::Store> meeting(const Comm& comm, const std::string& host) {
  c10::intrusive_ptr<c10d::TCPStore> server;
  if (comm.rank() == 0)
    server = c10::make_intrusive<c10d::TCPStore>(
        host, c10d::TCPStoreOptions{.port = 0, .isServer = true, .numWorkers = std::nullopt});
  const std::string port = comm.broadcast_text(server ? std::to_string(server->getPort()) : "");
  if (server) return server;
  return c10::make_intrusive<c10d::TCPStore>(
      host, c10d::TCPStoreOptions{.port = static_cast<uint16_t>(std::stoi(port))});
}

// Collective. Where this rank stands among those of its host.
std::pair<int, int> place_on_host(const Group& group) {
  if (group.size == 1) return {0, 1};
  MPI_Comm local = MPI_COMM_NULL;
  int rank = 0, size = 1;
  MPI_Comm_split_type(group.control, MPI_COMM_TYPE_SHARED, group.rank, MPI_INFO_NULL, &local);
  MPI_Comm_rank(local, &rank);
  MPI_Comm_size(local, &size);
  MPI_Comm_free(&local);
  return {rank, size};
}

// Collective.
bool all_ranks(const Group& group, bool mine) {
  int value = mine;
  if (group.size > 1) MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT, MPI_MIN, group.control);
  return value != 0;
}

}  // namespace

World::World(int& argc, char**& argv, const std::string& watch_interface) {
  const Launcher by = launcher();
  require_acquainted(by);
  group_ = by.several() ? std::make_shared<Group>(start_mpi(argc, argv, by)) : std::make_shared<Group>();
  log::start(rank(), size());
  if (size() > 1)
    watch_ = std::make_unique<Watch>(
        rank(), size(), host_name(), [this](const std::string& mine) { return gather_text(*group_, mine); },
        watch_interface);
}

World::~World() {
  if (watch_) quiet_barrier(group_->control);
  watch_.reset();
  const bool by_mpi = group_->control != MPI_COMM_NULL;
  group_.reset();
  if (by_mpi) MPI_Finalize();
}

int World::rank() const {
  return group_->rank;
}

int World::size() const {
  return group_->size;
}

void World::barrier() const {
  if (size() > 1) quiet_barrier(group_->control);
}

void World::fail(int status, const std::string& cause) {
  require(watch_ != nullptr, Exit::bug, "World::fail is for worlds of several ranks");
  watch_->fail(status, cause);
}

void World::watch(double timeout, const std::string& records) {
  if (!watch_) return;
  watch_->timeout(timeout);
  watch_->records(records);
}

std::vector<std::string> World::watch_doors() const {
  return watch_ ? watch_->doors() : std::vector<std::string>();
}

Comm World::comm(const std::string& device) {
  require(device == "auto" || device == "cpu" || device == "cuda", Exit::usage,
          "device is auto, cpu or cuda, found '{}'", device);
  Comm comm;
  comm.rank_ = rank();
  comm.size_ = size();
  comm.group_ = group_;
  comm.host_ = host_name();
  std::tie(comm.local_rank_, comm.local_size_) = place_on_host(*group_);

  const CudaPlugin* cuda = device == "cpu" ? nullptr : cuda_plugin();
  const int devices = cuda ? cuda->device_count() : 0;
  // Two ranks on one device are allowed only when asked for by name: NCCL refuses them unless told otherwise.
  const bool usable = all_ranks(*group_, device == "auto" ? devices >= comm.local_size_ : devices > 0);
  require(
      usable || device != "cuda", Exit::usage,
      "device=cuda, but not every rank has a CUDA device ({}): use device=cpu",
      cuda ? fmt::format("{} has {} for {} ranks", comm.host_, devices, comm.local_size_) : why_no_cuda());
  const bool on_device = usable && device != "cpu";
  if (on_device) {
    comm.device_ = torch::Device(torch::kCUDA, static_cast<c10::DeviceIndex>(comm.local_rank_ % devices));
    cuda->use_device(comm.device_.index());
  }
  if (comm.size_ == 1) return comm;  // whose collectives have nothing to send
  if (on_device) {
    const auto store = meeting(comm, watch_ ? watch_->address() : "127.0.0.1");
    comm.backend_ = shared(cuda->nccl(store, comm.rank_, comm.size_, comm.device_.index()));
    comm.store_ = shared(store);
  } else {
    comm.backend_ = mpi(group_);
  }
  return comm;
}

Comm Comm::split(int color) const {
  require(color >= 0, Exit::bug, "a part of the ranks is numbered from 0, found {}", color);
  if (size_ == 1) return *this;
  barrier();  // which waits more quietly than MPI does
  MPI_Comm control = MPI_COMM_NULL;
  MPI_Comm_split(group_->control, color, rank_, &control);
  Comm part = *this;
  part.group_ = std::make_shared<Group>(control);
  part.rank_ = part.group_->rank;
  part.size_ = part.group_->size;
  const std::string name = fmt::format("split {} part {}", group_->splits++, color);
  if (part.size_ == 1) {
    part.backend_ = nullptr;
    part.store_ = nullptr;
  } else if (store_) {
    const auto store = c10::make_intrusive<c10d::PrefixStore>(
        name, c10::intrusive_ptr<c10d::Store>::reclaim_copy(store_.get()));
    part.backend_ = shared(cuda_plugin()->nccl(store, part.rank_, part.size_, device_.index()));
    part.store_ = shared<c10d::Store>(store);
  } else {
    part.backend_ = mpi(part.group_);
  }
  return part;
}

bool Comm::whole() const {
  return group_ && group_->whole;
}

Comm Comm::through(std::shared_ptr<c10d::Backend> backend) const {
  Comm other = *this;
  other.backend_ = std::move(backend);
  return other;
}

uint64_t Comm::enter(const std::string& name, int64_t bytes) const {
  ++group_->entered;
  return flight::enter(name, bytes);
}

// Runs a collective that ends before this returns, with its entry in the flight record.
template <class Collective>
auto Comm::entered(const std::string& name, int64_t bytes, Collective collective) const {
  const uint64_t number = enter(name, bytes);
  flight::wait(number);
  struct Leave {
    uint64_t number;
    ~Leave() { flight::leave(number); }
  } leave{number};
  return collective();
}

void Comm::all_reduce(torch::Tensor tensor, Reduce how, const std::string& name) const {
  if (size_ == 1) return;
  entered(name, static_cast<int64_t>(tensor.nbytes()), [&] {
    std::vector<torch::Tensor> tensors{tensor};
    c10d::AllreduceOptions options;
    options.reduceOp = reduce_op(how);
    backend_->allreduce(tensors, options)->wait();
  });
}

Wait Comm::all_reduce_async(torch::Tensor tensor, const std::string& name) const {
  if (size_ == 1) return [] {};
  const uint64_t number = enter(name, static_cast<int64_t>(tensor.nbytes()));
  std::vector<torch::Tensor> tensors{std::move(tensor)};
  return [work = backend_->allreduce(tensors), number] {
    flight::wait(number);
    work->wait();
    flight::leave(number);
  };
}

void Comm::broadcast(torch::Tensor tensor, int root, const std::string& name) const {
  if (size_ == 1) return;
  entered(name, static_cast<int64_t>(tensor.nbytes()), [&] {
    std::vector<torch::Tensor> tensors{tensor};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    backend_->broadcast(tensors, options)->wait();
  });
}

torch::Tensor Comm::all_gather(const torch::Tensor& tensor, const std::string& name) const {
  if (size_ == 1) return tensor.clone().unsqueeze(0);
  return entered(name, static_cast<int64_t>(tensor.nbytes()), [&] {
    std::vector<std::vector<torch::Tensor>> parts(1);
    for (int r = 0; r < size_; ++r) parts[0].push_back(torch::empty_like(tensor));
    std::vector<torch::Tensor> mine{tensor.contiguous()};
    backend_->allgather(parts, mine)->wait();
    return torch::stack(parts[0]);
  });
}

void Comm::barrier() const {
  if (size_ > 1) entered("barrier", 0, [&] { quiet_barrier(group_->control); });
}

std::vector<std::string> Comm::all_gather_text(const std::string& mine, const std::string& name) const {
  if (size_ == 1) return {mine};
  return entered(name, static_cast<int64_t>(mine.size()), [&] { return gather_text(*group_, mine); });
}

std::string Comm::broadcast_text(const std::string& text, int root) const {
  return all_gather_text(rank_ == root ? text : std::string(), "broadcast_text")[root];
}

void Comm::together(const std::function<void()>& work, const std::string& name) const {
  const std::vector<std::string> outcomes = all_gather_text(outcome(work), name);
  for (int r = 0; r < size_; ++r) {
    if (outcomes[r].empty()) continue;
    const size_t line = outcomes[r].find('\n');
    const auto kind = static_cast<Exit>(std::stoi(outcomes[r].substr(0, line)));
    Error error(kind, outcomes[r].substr(line + 1));
    error.everywhere = whole();
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
