#include "dist/mpi_backend.h"

#include <fmt/ranges.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>

#include "dist/error.h"
#include "dist/flight.h"
#include "dist/trace.h"

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

// MPI has no half precision: sums of two, rounded once each.
template <class T>
void sum_half(void* in, void* inout, int* count, MPI_Datatype*) {
  const T* a = static_cast<const T*>(in);
  T* b = static_cast<T*>(inout);
  for (int i = 0; i < *count; ++i) b[i] = static_cast<float>(a[i]) + static_cast<float>(b[i]);
}

template <class T>
MPI_Op half_op() {
  static const MPI_Op made = [] {
    MPI_Op op = MPI_OP_NULL;
    check(MPI_Op_create(sum_half<T>, /*commute=*/1, &op), "MPI_Op_create");
    return op;
  }();
  return made;
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
    case at::kHalf:
    case at::kBFloat16:
      return MPI_UINT16_T;
    default:
      fail(Exit::bug,
           "the MPI backend has no reduction for {}: expected float, half, bfloat16, int64, int32 or uint8",
           c10::toString(tensor.scalar_type()));
  }
}

MPI_Op mpi_op(const c10d::ReduceOp& op, at::ScalarType type) {
  const bool sum = op == c10d::ReduceOp::SUM || op == c10d::ReduceOp::AVG;
  if (sum && type == at::kHalf) return half_op<at::Half>();
  if (sum && type == at::kBFloat16) return half_op<at::BFloat16>();
  const bool half = type == at::kHalf || type == at::kBFloat16;
  if (sum) return MPI_SUM;
  if (op == c10d::ReduceOp::MIN && !half) return MPI_MIN;
  if (op == c10d::ReduceOp::MAX && !half) return MPI_MAX;
  fail(Exit::bug, "the MPI backend reduces by SUM or AVG, and but for half precision by MIN or MAX");
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

namespace {

// For a peer that may still compute: it comes within microseconds, or is worth sleeping for.
void quiet_wait(MPI_Request request) {
  for (int polls = 0, done = 0;; ++polls) {
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done) return;
    if (polls < 200)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(polls < 2000 ? 20 : 500));
  }
}

constexpr size_t kTitle = 128;

// Not all ranks came to the same collective: every rank says to which it came.
[[noreturn]] void mismatch(MPI_Comm comm, const std::string& title) {
  int size = 0;
  MPI_Comm_size(comm, &size);
  std::array<char, kTitle> mine{};
  title.copy(mine.data(), kTitle - 1);
  std::vector<char> all(size * kTitle);
  MPI_Allgather(mine.data(), kTitle, MPI_CHAR, all.data(), kTitle, MPI_CHAR, comm);
  std::map<std::string, std::vector<int>> groups;
  for (int r = 0; r < size; ++r) groups[&all[r * kTitle]].push_back(r);
  std::string text;
  for (const auto& [what, ranks] : groups)
    text += fmt::format("{}{} {} {}", text.empty() ? "" : "; ", ranks.size() == 1 ? "rank" : "ranks",
                        fmt::join(ranks, ", "), "to " + what);
  Error error(Exit::bug, "the ranks came to different collectives: " + text +
                             ". A rank took another path through the program than the others");
  int world = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &world);
  error.everywhere = size == world;
  throw error;
}

// Waits until every rank has come here, with the same `title`.
void meet(MPI_Comm comm, const std::string& title) {
  const auto hash = static_cast<int64_t>(XXH3_64bits(title.data(), title.size()) >> 1);
  int64_t range[2] = {hash, -hash};
  MPI_Request request;
  check(MPI_Iallreduce(MPI_IN_PLACE, range, 2, MPI_INT64_T, MPI_MIN, comm, &request), "MPI_Iallreduce");
  quiet_wait(request);
  if (range[0] != -range[1]) mismatch(comm, title);
}

}  // namespace

void quiet_barrier(MPI_Comm comm) {
  MPI_Request request;
  check(MPI_Ibarrier(comm, &request), "MPI_Ibarrier");
  quiet_wait(request);
}

namespace {
void broadcast_bytes(const at::Tensor& bytes, int root, MPI_Comm comm) {
  in_pieces(bytes,
            [&](void* data, int count) { check(MPI_Bcast(data, count, MPI_BYTE, root, comm), "MPI_Bcast"); });
}
}  // namespace

class MpiBackend::Job final : public c10d::Work {
 public:
  Job(int rank, c10d::OpType type, const at::Tensor& tensor, uint64_t number,
      std::function<void()> collective)
      : Work(rank, type),
        collective_(std::move(collective)),
        bytes_(static_cast<int64_t>(tensor.nbytes())),
        name_(flight::collective()),
        title_(fmt::format("{} {} (#{}) of {} {}", c10d::opTypeToString(type), name_, number, tensor.numel(),
                           c10::toString(tensor.scalar_type()))) {}
  // What `broken` holds when a collective has failed is what all later ones fail with: other ranks do not
  // come to them.
  void run(MPI_Comm comm, std::exception_ptr& broken) {
    try {
      if (!broken) collect(comm);
    } catch (...) {
      broken = std::current_exception();
    }
    collective_ = nullptr;  // lets go of the tensors
    finish(broken);
  }

 private:
  void collect(MPI_Comm comm) {
    const double begin = trace::now();
    meet(comm, title_);
    const double met = trace::now();
    collective_();
    if (!trace::on()) return;
    trace::add({trace::Lane::communication, "wait for ranks", begin, met});
    trace::add({trace::Lane::communication, name_, met, trace::now(), bytes_});
  }

  std::function<void()> collective_;
  int64_t bytes_;
  std::string name_;   // of the flight record
  std::string title_;  // what all ranks must agree on
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

MpiBackend::MpiBackend(MPI_Comm parent, std::shared_ptr<const std::atomic<uint64_t>> entered)
    : Backend(rank_of(parent), size_of(parent)), entered_(std::move(entered)) {
  check(MPI_Comm_dup(parent, &comm_), "MPI_Comm_dup");
}

MpiBackend::~MpiBackend() {
  worker_.reset();  // needs the communicator
  MPI_Comm_free(&comm_);
}

c10::intrusive_ptr<c10d::Work> MpiBackend::start(c10d::OpType type, const at::Tensor& tensor,
                                                 std::function<void()> collective) {
  auto job = c10::make_intrusive<Job>(rank_, type, tensor, *entered_, std::move(collective));
  worker_->give([this, job] { job->run(comm_, broken_); });
  return job;
}

c10::intrusive_ptr<c10d::Work> MpiBackend::allreduce(std::vector<at::Tensor>& tensors,
                                                     const c10d::AllreduceOptions& options) {
  return start(c10d::OpType::ALLREDUCE, only(tensors),
               [this, tensor = only(tensors), type = mpi_type(only(tensors)),
                op = mpi_op(options.reduceOp, only(tensors).scalar_type()),
                average = options.reduceOp == c10d::ReduceOp::AVG] {
                 in_pieces(tensor, [&](void* data, int count) {
                   check(MPI_Allreduce(MPI_IN_PLACE, data, count, type, op, comm_), "MPI_Allreduce");
                 });
                 if (average) at::Tensor(tensor).div_(size_);
               });
}

c10::intrusive_ptr<c10d::Work> MpiBackend::broadcast(std::vector<at::Tensor>& tensors,
                                                     const c10d::BroadcastOptions& options) {
  return start(c10d::OpType::BROADCAST, only(tensors),
               [this, bytes = only(tensors).view(-1).view(at::kByte),
                root = static_cast<int>(options.rootRank)] { broadcast_bytes(bytes, root, comm_); });
}

c10::intrusive_ptr<c10d::Work> MpiBackend::allgather(std::vector<std::vector<at::Tensor>>& outputs,
                                                     std::vector<at::Tensor>& inputs,
                                                     const c10d::AllgatherOptions&) {
  require(outputs.size() == 1 && static_cast<int>(outputs[0].size()) == size_, Exit::bug,
          "allgather needs one output a rank");
  return start(c10d::OpType::ALLGATHER, only(inputs), [this, input = only(inputs), parts = outputs[0]] {
    // One broadcast a rank: every tensor stays where the caller put it.
    for (int root = 0; root < size_; ++root) {
      at::Tensor part = parts[root];
      if (root == rank_) part.copy_(input);
      broadcast_bytes(part.view(-1).view(at::kByte), root, comm_);
    }
  });
}

c10::intrusive_ptr<c10d::Work> MpiBackend::barrier(const c10d::BarrierOptions&) {
  return start(c10d::OpType::BARRIER, at::empty({0}), [] {});
}

}  // namespace saddle
