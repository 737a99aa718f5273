#include "data/feed/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <exception>
#include <memory>
#include <mutex>
#include <numeric>
#include <thread>

#include "dist/error.h"
#include "dist/random.h"

namespace saddle {
namespace {

// Small domains need more rounds than Luby and Rackoff's four to look random.
constexpr int kRounds = 8;

uint64_t scramble(uint64_t x) {  // the finaliser of SplitMix64 (Steele et al. 2014)
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// A permutation of [0, 4^half).
uint64_t feistel(uint64_t value, int half, uint64_t key) {
  const uint64_t mask = (uint64_t{1} << half) - 1;
  uint64_t left = value >> half, right = value & mask;
  for (int round = 0; round < kRounds; ++round) {
    key += 0x9e3779b97f4a7c15;
    const uint64_t next = left ^ (scramble(key ^ scramble(right + 1)) & mask);
    left = right;
    right = next;
  }
  return left << half | right;
}

// Number `draw` of a stream, in [0, 1): 53 bits.
double unit(const Stream& stream, uint64_t draw) {
  return double(scramble(stream.key + 0x9e3779b97f4a7c15 * (draw + 1)) >> 11) * 0x1p-53;
}

void require_position(int64_t position, int64_t size) {
  require(size > 0 && position >= 0, Exit::bug, "order: position {} of {} samples", position, size);
}

// One epoch's blocks of local_shuffle in the order in which they are taken. All are full but the short one
// at the end of the data set, whose place among the others is drawn.
class Blocks {
 public:
  Blocks(int64_t size, int64_t window, int64_t mix, const Stream& stream)
      : window_(window), mix_(mix), full_(size / window), rest_(size % window), key_(stream.key) {
    places_ = full_ + (rest_ > 0);
    short_ = rest_ > 0 ? int64_t(unit(stream, 0) * double(places_)) : places_;
  }

  int64_t sample(int64_t place) const {
    const int64_t group = group_of(place), first = group * mix_;
    const int64_t samples = begin(std::min(first + mix_, places_)) - begin(first);
    const int64_t within = permute(place - begin(first), samples, scramble(key_ + uint64_t(group) + 1));
    const int64_t block = block_of(begin(first) + within);
    return number(block) * window_ + begin(first) + within - begin(block);
  }

 private:
  // The samples before the block at `place`.
  int64_t begin(int64_t place) const { return place * window_ - (place > short_ ? window_ - rest_ : 0); }
  int64_t block_of(int64_t at) const {
    return at < begin(short_ + 1) ? at / window_ : (at + window_ - rest_) / window_;
  }
  int64_t group_of(int64_t at) const { return block_of(at) / mix_; }
  int64_t number(int64_t place) const {  // in the data set
    if (place == short_) return full_;
    return permute(place - (place > short_), full_, key_);
  }

  int64_t window_, mix_, full_, rest_, places_, short_;
  uint64_t key_;
};

}  // namespace

int64_t permute(int64_t value, int64_t size, uint64_t key, int* steps) {
  const int half = (std::bit_width(uint64_t(size - 1)) + 1) / 2;
  uint64_t next = uint64_t(value);
  // The cycle through a number below size returns below size.
  do {
    next = feistel(next, half, key);
    if (steps) ++*steps;
  } while (next >= uint64_t(size));
  return int64_t(next);
}

int64_t Shuffle::operator()(int64_t position) const {
  require_position(position, size_);
  return permute(position % size_, size_, Stream(seed_, "shuffle", position / size_).key);
}

std::vector<int64_t> samples_at(const Order& order, int64_t first, int64_t count) {
  std::vector<int64_t> samples(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) samples[static_cast<size_t>(i)] = order(first + i);
  return samples;
}

Order sequential(int64_t size) {
  return [size](int64_t position) {
    require_position(position, size);
    return position % size;
  };
}

Order local_shuffle(int64_t size, int64_t window, int64_t mix, uint64_t seed) {
  require(window > 0 && mix > 0, Exit::usage,
          "a local shuffle needs at least 1 sample a window and 1 window at a time, found {} and {}", window,
          mix);
  window = std::min(window, std::max<int64_t>(size, 1));
  mix = std::min(mix, size / window + 1);
  return [=](int64_t position) {
    require_position(position, size);
    const Stream stream(seed, "local shuffle", uint64_t(position / size));
    return Blocks(size, window, mix, stream).sample(position % size);
  };
}

ClassTable::ClassTable(const std::vector<int64_t>& labels, int64_t classes)
    : starts_(size_t(classes) + 1), samples_(labels.size()) {
  require(labels.size() <= UINT32_MAX, Exit::usage,
          "orders by class are for data sets below {} samples, found {}", UINT32_MAX, labels.size());
  for (const int64_t label : labels) ++starts_[size_t(label) + 1];
  std::partial_sum(starts_.begin(), starts_.end(), starts_.begin());
  std::vector<int64_t> next = starts_;
  for (size_t i = 0; i < labels.size(); ++i) samples_[size_t(next[size_t(labels[i])]++)] = uint32_t(i);
}

ClassTable class_table(const Dataset& data, const std::string& label, int threads) {
  const Field& field = data.schema()[label];
  require(field.classes > 0 && field.shape.empty() && field.dtype == torch::kLong, Exit::usage,
          "an order by class needs a label of each sample, int64 [] with classes; the data set has {}",
          describe(data.schema()));
  const auto number = size_t(&field - data.schema().fields.data());
  std::vector<int64_t> labels(size_t(data.size()));
  std::exception_ptr error;
  std::mutex mutex;
  const auto read = [&](int part) {
    try {
      const Range mine = share(data.size(), part, threads);
      std::vector<Place> places(data.schema().fields.size());
      for (int64_t i = mine.first; i < mine.first + mine.count; ++i) {
        int64_t& found = labels[size_t(i)];
        places[number].row = &found;
        data.read_sample(i, places);
        require(found >= 0 && found < field.classes, Exit::data,
                "field {} of sample {}: expected a label below {}, found {}; see `saddle check`", label, i,
                field.classes, found);
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
    }
  };
  std::vector<std::thread> readers;
  for (int part = 0; part < threads; ++part) readers.emplace_back(read, part);
  for (std::thread& reader : readers) reader.join();
  if (error) std::rethrow_exception(error);
  return ClassTable(labels, field.classes);
}

Order balanced(ClassTable table, uint64_t seed) {
  std::vector<int64_t> present;
  for (int64_t label = 0; label < table.classes(); ++label)
    if (table.count(label) > 0) present.push_back(label);
  const auto shared = std::make_shared<const ClassTable>(std::move(table));
  return [=](int64_t position) {
    const auto classes = int64_t(present.size());
    require_position(position, classes);
    const int64_t round = position / classes;
    const int64_t label = present[size_t(
        permute(position % classes, classes, Stream(seed, "order of classes", uint64_t(round)).key))];
    const Shuffle within(shared->count(label), Stream(seed, "within a class", uint64_t(label)).key);
    return shared->sample(label, within(round));
  };
}

Order weighted(ClassTable table, const std::vector<double>& weights, uint64_t seed) {
  require(int64_t(weights.size()) == table.classes(), Exit::usage,
          "expected a weight for each of {} classes, found {}", table.classes(), weights.size());
  std::vector<double> ends;
  for (size_t c = 0; c < weights.size(); ++c) {
    require(std::isfinite(weights[c]) && weights[c] >= 0, Exit::usage,
            "expected weights of classes that are not negative, found {}", weights[c]);
    require(weights[c] == 0 || table.count(int64_t(c)) > 0, Exit::usage,
            "class {} has weight {} but no sample", c, weights[c]);
    ends.push_back((ends.empty() ? 0 : ends.back()) + weights[c]);
  }
  require(ends.back() > 0, Exit::usage, "expected a class of positive weight, found none");
  const auto shared = std::make_shared<const ClassTable>(std::move(table));
  const Stream of_class(seed, "class"), of_sample(seed, "sample of a class");
  return [=](int64_t position) {
    require_position(position, 1);
    const double at = unit(of_class, uint64_t(position)) * ends.back();
    const auto label = int64_t(std::upper_bound(ends.begin(), ends.end(), at) - ends.begin());
    const auto number = int64_t(unit(of_sample, uint64_t(position)) * double(shared->count(label)));
    return shared->sample(label, number);
  };
}

}  // namespace saddle
