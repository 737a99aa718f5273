#include "tests/support/emulated_link.h"

#include <ATen/core/ivalue.h>
#include <sys/prctl.h>

#include <chrono>
#include <numeric>

namespace saddle::test {
namespace {

using Clock = std::chrono::steady_clock;

int64_t bytes(const std::vector<at::Tensor>& tensors) {
  return std::accumulate(tensors.begin(), tensors.end(), int64_t{0}, [](int64_t sum, const at::Tensor& t) {
    return sum + static_cast<int64_t>(t.nbytes());
  });
}

}  // namespace

class EmulatedLink::Job final : public c10d::Work {
 public:
  Job(int rank, c10::intrusive_ptr<c10d::Work> real, std::vector<at::Tensor> result)
      : Work(rank, c10d::OpType::UNKNOWN),
        real_(std::move(real)),
        result_(std::move(result)),
        called_(Clock::now()),
        future_(c10::make_intrusive<c10::ivalue::Future>(c10::ListType::create(c10::TensorType::get()))) {}

  // Returns when the link is free again.
  Clock::time_point run(Clock::time_point free, const Link& link) {
    const double seconds = link.latency + static_cast<double>(bytes(result_)) / link.bandwidth;
    const auto due = std::max(called_, free) +
                     std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    std::exception_ptr error;
    try {
      real_->wait();
    } catch (...) {
      error = std::current_exception();
    }
    std::this_thread::sleep_until(due);
    if (error)
      future_->setError(error);
    else
      future_->markCompleted(c10::IValue(std::exchange(result_, {})));
    finish(error);
    return std::max(due, Clock::now());
  }

  c10::intrusive_ptr<c10::ivalue::Future> getFuture() override { return future_; }

 private:
  c10::intrusive_ptr<c10d::Work> real_;
  std::vector<at::Tensor> result_;
  Clock::time_point called_;
  c10::intrusive_ptr<c10::ivalue::Future> future_;
};

EmulatedLink::EmulatedLink(const Comm& comm, Link link)
    : Backend(comm.rank(), comm.size()), real_(comm.backend()), link_(link) {
  worker_.give([] { prctl(PR_SET_TIMERSLACK, 1000); });  // nanoseconds: sleeps end when they should
}

c10::intrusive_ptr<c10d::Work> EmulatedLink::start(c10::intrusive_ptr<c10d::Work> real,
                                                   std::vector<at::Tensor> result) {
  auto job = c10::make_intrusive<Job>(rank_, std::move(real), std::move(result));
  worker_.give([this, job] { free_ = job->run(free_, link_); });
  return job;
}

c10::intrusive_ptr<c10d::Work> EmulatedLink::allreduce(std::vector<at::Tensor>& tensors,
                                                       const c10d::AllreduceOptions& options) {
  std::vector<at::Tensor> part{link_.offload ? tensors.at(0).view(-1).narrow(0, 0, 1) : tensors.at(0)};
  return start(real_->allreduce(part, options), tensors);
}

c10::intrusive_ptr<c10d::Work> EmulatedLink::broadcast(std::vector<at::Tensor>& tensors,
                                                       const c10d::BroadcastOptions& options) {
  return start(real_->broadcast(tensors, options), tensors);
}

c10::intrusive_ptr<c10d::Work> EmulatedLink::allgather(std::vector<std::vector<at::Tensor>>& outputs,
                                                       std::vector<at::Tensor>& inputs,
                                                       const c10d::AllgatherOptions& options) {
  return start(real_->allgather(outputs, inputs, options), outputs.at(0));
}

c10::intrusive_ptr<c10d::Work> EmulatedLink::barrier(const c10d::BarrierOptions& options) {
  return start(real_->barrier(options), {});
}

Comm emulate(const Comm& comm, Link link) {
  auto made = c10::make_intrusive<EmulatedLink>(comm, link);
  c10d::Backend* raw = made.get();
  return comm.through({raw, [made](c10d::Backend*) mutable { made.reset(); }});
}

}  // namespace saddle::test
