#include "dist/mpi_backend.h"

#include <algorithm>
#include <chrono>

#include "dist/error.h"

namespace saddle {
namespace {

constexpr int64_t kMostPerCall = int64_t{1} << 28;  // MPI counts are int

void check(int status, const char* what) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(status, text, &length);
  fail(Exit::io, "{} failed: {}", what, std::string(text, length));
}

MPI_Datatype mpi_type(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return MPI_FLOAT;
    case at::kDouble:
      return MPI_DOUBLE;
    case at::kLong:
      return MPI_INT64_T;
    case at::kInt:
      return MPI_INT32_T;
    case at::kByte:
      return MPI_UINT8_T;
    default:
      fail(Exit::bug,
           "the MPI backend has no reduction for {}: expected float32, float64, int64, int32 or uint8",
           c10::toString(tensor.scalar_type()));
  }
}

MPI_Op mpi_op(const c10d::ReduceOp& op) {
  switch (op) {
    case c10d::ReduceOp::SUM:
      return MPI_SUM;
    case c10d::ReduceOp::AVG:
      return MPI_SUM;
    case c10d::ReduceOp::MIN:
      return MPI_MIN;
    case c10d::ReduceOp::MAX:
      return MPI_MAX;
    default:
      fail(Exit::bug, "the MPI backend reduces by SUM, AVG, MIN or MAX");
  }
}

const at::Tensor& only(const std::vector<at::Tensor>& tensors) {
  require(tensors.size() == 1 && tensors[0].is_cpu() && tensors[0].is_contiguous(), Exit::bug,
          "the MPI backend takes one contiguous cpu tensor a call");
  return tensors[0];
}

// Calls `piece(pointer, count)` over the tensor in pieces MPI can count.
template <class Piece>
void in_pieces(const at::Tensor& tensor, Piece piece) {
  auto* bytes = static_cast<char*>(tensor.data_ptr());
  for (int64_t at = 0; at < tensor.numel(); at += kMostPerCall)
    piece(bytes + at * tensor.element_size(), static_cast<int>(std::min(kMostPerCall, tensor.numel() - at)));
}

}  // namespace

void quiet_barrier(MPI_Comm comm) {
  MPI_Request request;
  check(MPI_Ibarrier(comm, &request), "MPI_Ibarrier");
  // A peer on another core comes within microseconds; one that computes is worth sleeping for.
  for (int polls = 0, done = 0;; ++polls) {
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done) return;
    if (polls < 200)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(polls < 2000 ? 20 : 500));
  }
}

class MpiBackend::Job final : public c10d::Work {
 public:
  Job(int rank, c10d::OpType type, std::function<void()> collective)
      : Work(rank, type), collective_(std::move(collective)) {}
  void run() {
    std::exception_ptr error;
    try {
      collective_();
    } catch (...) {
      error = std::current_exception();
    }
    collective_ = nullptr;  // lets go of the tensors
    finish(error);
  }

 private:
  std::function<void()> collective_;
};

namespace {
int rank_of(MPI_Comm comm) {
  int rank = 0;
  check(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
  return rank;
}
int size_of(MPI_Comm comm) {
  int size = 0;
  check(MPI_Comm_size(comm, &size), "MPI_Comm_size");
  return size;
}
}  // namespace

MpiBackend::MpiBackend(MPI_Comm parent) : Backend(rank_of(parent), size_of(parent)) {
  check(MPI_Comm_dup(parent, &comm_), "MPI_Comm_dup");
  thread_ = std::thread([this] { progress(); });
}

MpiBackend::~MpiBackend() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
  MPI_Comm_free(&comm_);
}

void MpiBackend::progress() {
  for (;;) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    if (queue_.empty()) return;
    auto job = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    job->run();
  }
}

c10::intrusive_ptr<c10d::Work> MpiBackend::start(c10d::OpType type, std::function<void()> collective) {
  auto job = c10::make_intrusive<Job>(rank_, type, std::move(collective));
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(job);
  }
  wake_.notify_one();
  return job;
}

c10::intrusive_ptr<c10d::Work> MpiBackend::allreduce(std::vector<at::Tensor>& tensors,
                                                     const c10d::AllreduceOptions& options) {
  return start(c10d::OpType::ALLREDUCE,
               [this, tensor = only(tensors), type = mpi_type(only(tensors)), op = mpi_op(options.reduceOp),
                average = options.reduceOp == c10d::ReduceOp::AVG] {
                 quiet_barrier(comm_);
                 in_pieces(tensor, [&](void* data, int count) {
                   check(MPI_Allreduce(MPI_IN_PLACE, data, count, type, op, comm_), "MPI_Allreduce");
                 });
                 if (average) at::Tensor(tensor).div_(size_);
               });
}

c10::intrusive_ptr<c10d::Work> MpiBackend::broadcast(std::vector<at::Tensor>& tensors,
                                                     const c10d::BroadcastOptions& options) {
  return start(c10d::OpType::BROADCAST, [this, bytes = only(tensors).view(-1).view(at::kByte),
                                         root = static_cast<int>(options.rootRank)] {
    quiet_barrier(comm_);
    in_pieces(bytes, [&](void* data, int count) {
      check(MPI_Bcast(data, count, MPI_BYTE, root, comm_), "MPI_Bcast");
    });
  });
}

c10::intrusive_ptr<c10d::Work> MpiBackend::allgather(std::vector<std::vector<at::Tensor>>& outputs,
                                                     std::vector<at::Tensor>& inputs,
                                                     const c10d::AllgatherOptions&) {
  require(outputs.size() == 1 && static_cast<int>(outputs[0].size()) == size_, Exit::bug,
          "allgather needs one output a rank");
  return start(c10d::OpType::ALLGATHER, [this, input = only(inputs), parts = outputs[0]] {
    quiet_barrier(comm_);
    // One broadcast a rank: every tensor stays where the caller put it.
    for (int root = 0; root < size_; ++root) {
      at::Tensor part = parts[root];
      if (root == rank_) part.copy_(input);
      in_pieces(part.view(-1).view(at::kByte), [&](void* data, int count) {
        check(MPI_Bcast(data, count, MPI_BYTE, root, comm_), "MPI_Bcast");
      });
    }
  });
}

c10::intrusive_ptr<c10d::Work> MpiBackend::barrier(const c10d::BarrierOptions&) {
  return start(c10d::OpType::BARRIER, [this] { quiet_barrier(comm_); });
}

}  // namespace saddle
