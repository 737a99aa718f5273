#include "data/feed/loader.h"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "data/feed/convert.h"
#include "data/feed/pool.h"
#include "data/feed/upload.h"
#include "dist/error.h"
#include "dist/random.h"
#include "dist/trace.h"

namespace saddle {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

LoaderOptions checked(const std::vector<Feed>& feeds, LoaderOptions options) {
  const auto& o = options;
  require(!feeds.empty(), Exit::bug, "the loader needs a feed");
  for (const Feed& feed : feeds) require(feed.data->size() > 0, Exit::data, "the data set has no samples");
  require(o.batch > 0, Exit::usage, "a batch needs at least 1 sample, found {}", o.batch);
  require(o.threads > 0 && o.prefetch > 0 && o.readahead >= 0, Exit::usage,
          "the loader needs at least 1 thread and 1 batch of prefetch, found {} and {}", o.threads,
          o.prefetch);
  return options;
}

// A field on its way from storage into a batch: straight there, or through a row of a reader's own, which
// stays in its cache.
struct Track {
  const Field& field;
  torch::Tensor batch = {};
  torch::Tensor lengths = {};  // of a variable field
  Convert convert = nullptr;
  std::vector<char> row = {};  // if converted

  char* rows = nullptr;  // of `batch`, `stride` bytes each
  int64_t stride = 0;

  char* target(int64_t i) const { return rows + i * stride; }
};

}  // namespace

torch::Tensor to_model(const torch::Tensor& raw, torch::Device device, torch::ScalarType dtype) {
  const torch::ScalarType type = model_type(raw.scalar_type(), dtype);
  if (raw.is_cpu() && device.is_cpu() && pixel_scale(raw.scalar_type()) > 0) {
    const torch::Tensor from = raw.contiguous();
    torch::Tensor to = torch::empty(raw.sizes(), type);
    converter(raw.scalar_type(), type)(from.const_data_ptr(), to.mutable_data_ptr(), from.numel());
    return to;
  }
  torch::Tensor there = raw.to(device, /*non_blocking=*/true);  // as bytes: a quarter of the traffic
  if (const float scale = pixel_scale(raw.scalar_type()); scale > 0)
    return there.to(torch::kFloat).div_(scale).sub_(1).to(type);
  return there.to(type);
}

Batch zero_rows(const std::vector<Field>& fields, int64_t rows, torch::Device device,
                torch::ScalarType dtype) {
  Batch batch;
  for (const Field& field : fields) {
    batch.set(field.name, to_model(empty_rows(field, rows).zero_(), device, dtype));
    if (field.variable)
      batch.set(length_name(field), torch::zeros({rows}, torch::dtype(torch::kLong).device(device)));
  }
  return batch;
}

// Readers claim batches in order and finish them in any; `next` takes them in order. A seek starts a new
// generation: what readers of an older one bring is dropped.
struct Loader::Impl {
  struct Slot {
    Batch batch;
    int64_t substituted = 0;
    std::exception_ptr error;
  };

  Impl(std::vector<Feed> all, LoaderOptions o)
      : feeds(std::move(all)), options(checked(feeds, o)), pool(options.prefetch + options.threads + 2) {
    schema_of(feeds);  // throws if they do not go together
    if (!options.device.is_cpu()) upload.emplace(options.device, options.dtype);
    for (int i = 0; i < options.threads; ++i) readers.emplace_back([this] { work(); });
  }

  ~Impl() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    room.notify_all();
    for (std::thread& reader : readers) reader.join();
  }

  void work() {
    bool slow = false;  // storage, as the last batch has found
    std::unique_lock lock(mutex);
    for (;;) {
      room.wait(lock, [&] { return stopping || claimed < position + options.prefetch * options.batch; });
      if (stopping) return;
      const int64_t mine = claimed, born = generation;
      claimed += options.batch;
      const Range hint = slow ? unannounced() : Range{};
      lock.unlock();
      Slot slot = produce(mine, hint, slow);
      lock.lock();
      if (born != generation) continue;
      slots.emplace(mine, std::move(slot));
      ready.notify_one();
    }
  }

  // Positions to come that storage has not been told of.
  Range unannounced() {
    const int64_t first = std::max(announced, claimed), end = claimed + options.readahead * options.batch;
    if (first >= end) return {};
    announced = end;
    return {first, end - first};
  }

  Slot produce(int64_t start, Range hint, bool& slow) const noexcept {
    try {
      announce(hint);
      const auto begin = Clock::now();
      Slot slot = host_batch(start);
      slow = since(begin) > expected_seconds();
      return slot;
    } catch (...) {
      return {.batch = {}, .substituted = 0, .error = std::current_exception()};
    }
  }

  Range slice() const { return share(options.batch, options.rank, options.size); }

  // What a batch takes that is in memory, generously.
  double expected_seconds() const {
    double bytes = 0;
    for (const Feed& feed : feeds) bytes += double(feed.data->schema().sample_bytes());
    return double(slice().count) * (20e-6 + bytes / 0.5e9);
  }

  void announce(Range hint) const {
    for (int64_t start = hint.first; start < hint.first + hint.count; start += options.batch)
      for (const Feed& feed : feeds) feed.data->prefetch(indices(feed, positions(start)));
  }

  // Of this rank's slice of the batch that begins at `start`.
  std::vector<int64_t> positions(int64_t start) const {
    std::vector<int64_t> all(size_t(slice().count));
    for (size_t i = 0; i < all.size(); ++i) all[i] = start + slice().first + int64_t(i);
    return all;
  }

  static std::vector<int64_t> indices(const Feed& feed, std::vector<int64_t> at) {
    for (int64_t& each : at) each = feed.order(each);
    return at;
  }

  // This rank's slice, as far as a reader can prepare it: converted for the CPU, raw and pinned for others.
  Slot host_batch(int64_t start) const {
    const trace::Span span(trace::Lane::data, "read batch");
    Slot slot;
    for (const Feed& feed : feeds) {
      const std::vector<int64_t> at = positions(start);
      Batch part = read(feed, indices(feed, at), slot.substituted);
      for (const Transform& transform : feed.transforms) part = transform.apply(part, at);
      for (const auto& [name, tensor] : part) slot.batch.set(name, tensor);
    }
    return slot;
  }

  Batch read(const Feed& feed, const std::vector<int64_t>& indices, int64_t& substituted) const {
    std::vector<Track> tracks;
    for (const Field& field : feed.data->schema().fields)
      tracks.push_back(track(field, int64_t(indices.size())));
    std::vector<Place> places(tracks.size());
    for (int64_t i = 0; i < int64_t(indices.size()); ++i) {
      for (size_t f = 0; f < tracks.size(); ++f)
        places[f].row = tracks[f].convert ? tracks[f].row.data() : tracks[f].target(i);
      substituted += feed.data->read_sample(indices[size_t(i)], places);
      for (size_t f = 0; f < tracks.size(); ++f) {
        const Track& t = tracks[f];
        if (t.convert) t.convert(t.row.data(), t.target(i), t.field.elements());
        if (t.field.variable) t.lengths.mutable_data_ptr<int64_t>()[i] = places[f].length;
      }
    }
    Batch out;
    for (const Track& t : tracks) {
      out.set(t.field.name, t.batch);
      if (t.field.variable) out.set(length_name(t.field), t.lengths);
    }
    return out;
  }

  Track track(const Field& field, int64_t count) const {
    std::vector<int64_t> sizes{count};
    sizes.insert(sizes.end(), field.shape.begin(), field.shape.end());
    Track made{.field = field};
    if (field.variable) made.lengths = host_memory({count}, torch::kLong);
    const torch::ScalarType type =
        options.device.is_cpu() ? model_type(field.dtype, options.dtype) : field.dtype;
    made.batch = host_memory(sizes, type);
    made.rows = static_cast<char*>(made.batch.mutable_data_ptr());
    made.stride = field.elements() * int64_t(made.batch.element_size());
    made.convert = converter(field.dtype, type);
    if (made.convert) made.row.resize(size_t(field.bytes()));
    return made;
  }

  torch::Tensor host_memory(const std::vector<int64_t>& sizes, torch::ScalarType type) const {
    if (options.device.is_cpu()) return pool.empty(sizes, type);
    return torch::empty(sizes, torch::TensorOptions(type).pinned_memory(true));
  }

  Batch next() {
    if (!upload) {
      Slot slot = take(std::unique_lock(mutex));
      substituted += slot.substituted;
      return std::move(slot.batch);
    }
    if (!upload->started()) begin_upload(take(std::unique_lock(mutex)));
    Batch batch = upload->finish();
    substituted += uploading;
    // The next one goes to the device while this one is computed on.
    std::unique_lock lock(mutex);
    const auto after = slots.find(position);
    if (after != slots.end() && !after->second.error) begin_upload(take(std::move(lock)));
    return batch;
  }

  void begin_upload(Slot slot) {
    uploading = slot.substituted;
    upload->start(std::move(slot.batch));
  }

  Slot take(std::unique_lock<std::mutex> lock) {
    const auto start = Clock::now();
    ready.wait(lock, [&] { return slots.contains(position); });
    waited += since(start);
    if (auto& error = slots.at(position).error) std::rethrow_exception(error);  // and again, if asked again
    Slot slot = std::move(slots.extract(position).mapped());
    position += options.batch;
    lock.unlock();
    room.notify_one();
    return slot;
  }

  // Of the first sample that `next` will give: a batch on its way to the device is not handed out yet.
  int64_t handed_out() const { return position - (upload && upload->started() ? options.batch : 0); }

  void seek(int64_t to) {
    constexpr int64_t kMost = int64_t{1} << 60;  // batches beyond it can still be counted
    require(to >= 0 && to <= kMost, Exit::data, "expected a position of the loader from 0 to {}, found {}",
            kMost, to);
    if (upload) upload->drop();
    std::lock_guard lock(mutex);
    ++generation;
    slots.clear();
    position = claimed = announced = to;
    room.notify_all();
  }

  const std::vector<Feed> feeds;
  const LoaderOptions options;
  mutable Pool pool;
  std::optional<Upload> upload;
  std::mutex mutex;  // guards what follows
  std::condition_variable room, ready;
  int64_t position =
      0;  // of the first sample of the next batch to be taken, in the endless sequence of epochs
  int64_t claimed = 0;    // likewise, of the next batch that a reader takes on
  int64_t announced = 0;  // likewise, of the next batch that storage is told of
  int64_t generation = 0;
  std::map<int64_t, Slot> slots;
  bool stopping = false;
  double waited = 0;
  int64_t substituted = 0, uploading = 0;  // of all batches handed out, of the one on its way to the device
  std::vector<std::thread> readers;
};

Loader::Loader(std::vector<Feed> feeds, LoaderOptions options)
    : impl_(std::make_unique<Impl>(std::move(feeds), options)) {}

Loader::Loader(std::shared_ptr<Dataset> data, LoaderOptions options)
    : Loader({Feed{.data = data, .order = Shuffle(data->size(), options.seed)}}, options) {}

Loader::~Loader() = default;

Batch Loader::next() {
  return impl_->next();
}

int64_t Loader::batches() const {
  return impl_->handed_out() / impl_->options.batch;
}

void Loader::visit(StateVisitor& visitor) {
  int64_t position = impl_->handed_out();
  visitor.number("position", position);
  if (position != impl_->handed_out()) impl_->seek(position);
}

double Loader::waited() const {
  return impl_->waited;
}

int64_t Loader::substituted() const {
  return impl_->substituted;
}

}  // namespace saddle
