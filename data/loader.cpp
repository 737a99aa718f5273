#include "data/loader.h"

#include <ATen/Dispatch.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "data/sampler.h"
#include "dist/error.h"
#include "dist/random.h"
#include "dist/trace.h"

namespace saddle {
namespace {

// A table and a plain loop: torch's own operators would start a team of OpenMP threads in every reader.
template <class T>
void bytes_to_floats(const uint8_t* from, T* to, int64_t count) {
  std::array<T, 256> table;
  for (int i = 0; i < 256; ++i) table[i] = static_cast<T>(float(i) / 127.5F - 1.0F);
  for (int64_t i = 0; i < count; ++i) to[i] = table[from[i]];
}

torch::Tensor bytes_to_floats(const torch::Tensor& raw, torch::ScalarType dtype) {
  const torch::Tensor from = raw.contiguous();
  torch::Tensor to = torch::empty(raw.sizes(), dtype);
  AT_DISPATCH_FLOATING_TYPES_AND2(torch::kHalf, torch::kBFloat16, dtype, "bytes_to_floats", [&] {
    bytes_to_floats(from.data_ptr<uint8_t>(), to.data_ptr<scalar_t>(), from.numel());
  });
  return to;
}

LoaderOptions checked(const Dataset& data, LoaderOptions options) {
  const auto& o = options;
  require(data.size() > 0, Exit::data, "the data set has no samples");
  require(o.batch > 0, Exit::usage, "a batch needs at least 1 sample, found {}", o.batch);
  require(o.threads > 0 && o.prefetch > 0, Exit::usage,
          "the loader needs at least 1 thread and 1 batch of prefetch, found {} and {}", o.threads,
          o.prefetch);
  return options;
}

}  // namespace

torch::Tensor to_model(const torch::Tensor& raw, torch::Device device, torch::ScalarType dtype) {
  const bool bytes = raw.scalar_type() == torch::kByte;
  if (bytes && raw.is_cpu() && device.is_cpu()) return bytes_to_floats(raw, dtype);
  torch::Tensor there = raw.to(device, /*non_blocking=*/true);  // as bytes: a quarter of the traffic
  if (bytes) return there.to(torch::kFloat).div_(127.5).sub_(1).to(dtype);
  return there.is_floating_point() ? there.to(dtype) : there;
}

// Readers claim batches in order and finish them in any; `next` takes them in order. A seek starts a new
// generation: what readers of an older one bring is dropped.
struct Loader::Impl {
  struct Slot {
    Batch batch;
    std::exception_ptr error;
  };

  Impl(std::shared_ptr<Dataset> data, LoaderOptions o)
      : data(std::move(data)), options(checked(*this->data, o)), shuffle(this->data->size(), o.seed) {
    for (int i = 0; i < options.threads; ++i) readers.emplace_back([this] { work(); });
  }

  ~Impl() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    room.notify_all();
    for (auto& reader : readers) reader.join();
  }

  int64_t horizon() const { return position + options.prefetch * options.batch; }

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      room.wait(lock, [&] { return stopping || claimed < horizon(); });
      if (stopping) return;
      const int64_t mine = claimed, born = generation;
      claimed += options.batch;
      lock.unlock();
      Slot slot = produce(mine);
      lock.lock();
      if (born != generation) continue;
      slots.emplace(mine, std::move(slot));
      ready.notify_one();
    }
  }

  Slot produce(int64_t start) const noexcept {
    try {
      return {.batch = host_batch(start), .error = nullptr};
    } catch (...) {
      return {.batch = {}, .error = std::current_exception()};
    }
  }

  // This rank's slice, as far as a reader can prepare it: converted for the CPU, pinned for CUDA.
  Batch host_batch(int64_t start) const {
    const Range mine = share(options.batch, options.rank, options.size);
    std::vector<int64_t> indices(mine.count);
    for (int64_t i = 0; i < mine.count; ++i) indices[i] = shuffle(start + mine.first + i);
    const trace::Span span(trace::Lane::data, "read batch");
    Batch batch = data->read(indices), out;
    for (const auto& [name, raw] : batch)
      out.set(name,
              options.device.is_cuda() ? raw.pin_memory() : to_model(raw, options.device, options.dtype));
    return out;
  }

  Batch next() {
    const auto start = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex);
    ready.wait(lock, [&] { return slots.contains(position); });
    waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (auto& error = slots.at(position).error) std::rethrow_exception(error);  // and again, if asked again
    Batch batch = std::move(slots.extract(position).mapped().batch);
    position += options.batch;
    lock.unlock();
    room.notify_one();
    return options.device.is_cuda() ? to_device(batch) : batch;
  }

  Batch to_device(const Batch& batch) const {
    Batch out;
    for (const auto& [name, raw] : batch) out.set(name, to_model(raw, options.device, options.dtype));
    return out;
  }

  void seek(int64_t to) {
    require(to >= 0, Exit::data, "the loader's position must not be negative, found {}", to);
    std::lock_guard lock(mutex);
    ++generation;
    slots.clear();
    position = claimed = to;
    room.notify_all();
  }

  const std::shared_ptr<Dataset> data;
  const LoaderOptions options;
  const Shuffle shuffle;
  std::mutex mutex;  // guards what follows
  std::condition_variable room, ready;
  int64_t position = 0;  // of the first sample of the next batch, in the endless sequence of epochs
  int64_t claimed = 0;   // likewise, of the next batch that a reader takes on
  int64_t generation = 0;
  std::map<int64_t, Slot> slots;
  bool stopping = false;
  double waited = 0;
  std::vector<std::thread> readers;
};

Loader::Loader(std::shared_ptr<Dataset> data, LoaderOptions options)
    : impl_(std::make_unique<Impl>(std::move(data), options)) {}

Loader::~Loader() = default;

Batch Loader::next() {
  return impl_->next();
}

int64_t Loader::batches() const {
  return impl_->position / impl_->options.batch;
}

void Loader::visit(StateVisitor& visitor) {
  int64_t position = impl_->position;
  visitor.number("position", position);
  if (position != impl_->position) impl_->seek(position);
}

double Loader::waited() const {
  return impl_->waited;
}

}  // namespace saddle
