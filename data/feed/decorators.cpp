#include "data/feed/decorators.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>
#include <unordered_map>

#include "data/checksum.h"
#include "data/feed/sampler.h"
#include "dist/error.h"
#include "dist/random.h"

namespace saddle {
namespace {

// A data set that answers what it does not change from another.
class Decorator : public Dataset {
 public:
  explicit Decorator(std::shared_ptr<Dataset> inner) : inner_(std::move(inner)) {}
  const Schema& schema() const override { return inner_->schema(); }
  int64_t size() const override { return inner_->size(); }
  bool read_sample(int64_t index, std::span<Place> places) const override {
    return inner_->read_sample(index, places);
  }
  void prefetch(const std::vector<int64_t>& indices) const override { inner_->prefetch(indices); }
  const nlohmann::json& provenance() const override { return inner_->provenance(); }
  std::string fingerprint() const override { return inner_->fingerprint(); }
  std::vector<std::string> damage() const override { return inner_->damage(); }

 protected:
  // That of the inner data set, and of what is done to it.
  std::string fingerprint_with(const std::string& what) const {
    const std::string text = inner_->fingerprint() + "\n" + what;
    return hex(checksum(text.data(), text.size()));
  }
  const std::shared_ptr<Dataset> inner_;
};

std::string hash_of(const std::vector<int64_t>& indices) {
  return hex(checksum(indices.data(), indices.size() * sizeof(int64_t)));
}

class Subset final : public Decorator {
 public:
  Subset(std::shared_ptr<Dataset> inner, std::vector<int64_t> indices)
      : Decorator(std::move(inner)), indices_(std::move(indices)) {
    for (const int64_t index : indices_)
      require(index >= 0 && index < inner_->size(), Exit::usage, "subset: sample {} of {}", index,
              inner_->size());
  }
  int64_t size() const override { return int64_t(indices_.size()); }
  bool read_sample(int64_t index, std::span<Place> places) const override {
    return inner_->read_sample(indices_.at(size_t(index)), places);
  }
  void prefetch(const std::vector<int64_t>& indices) const override {
    std::vector<int64_t> inner;
    for (const int64_t index : indices) inner.push_back(indices_.at(size_t(index)));
    inner_->prefetch(inner);
  }
  std::string fingerprint() const override { return fingerprint_with("subset " + hash_of(indices_)); }

 private:
  const std::vector<int64_t> indices_;
};

class Renamed final : public Decorator {
 public:
  Renamed(std::shared_ptr<Dataset> inner, const std::vector<std::pair<std::string, std::string>>& names)
      : Decorator(std::move(inner)), schema_(inner_->schema()) {
    for (const auto& [from, to] : names) schema_.fields[number(from)].name = to;
    std::set<std::string> seen;
    for (const Field& field : schema_.fields) {
      require(seen.insert(field.name).second, Exit::usage, "renamed: two fields would be {}", field.name);
      what_ += " " + field.name;
    }
  }
  const Schema& schema() const override { return schema_; }
  std::string fingerprint() const override { return fingerprint_with("renamed" + what_); }

 private:
  size_t number(const std::string& name) const {
    return size_t(&inner_->schema()[name] - inner_->schema().fields.data());
  }
  Schema schema_;
  std::string what_;
};

constexpr const char* kSequence = "sequence";

class Windows final : public Decorator {
 public:
  Windows(std::shared_ptr<Dataset> inner, int64_t length, int64_t stride)
      : Decorator(std::move(inner)), length_(length), stride_(stride), schema_(inner_->schema()) {
    require(length > 0 && stride > 0, Exit::usage,
            "windows need at least 1 sample and a stride of 1, found {} and {}", length, stride);
    for (Field& field : schema_.fields) {
      require(!field.variable, Exit::usage, "windows: field {} is variable already", field.name);
      if (field.name != kSequence) field.shape.insert(field.shape.begin(), length);
    }
    find_starts();
    require(size() > 0, Exit::usage, "windows: no {} consecutive samples among {}", length, inner_->size());
  }

  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return starts_.empty() ? count_ : int64_t(starts_.size()); }
  std::string fingerprint() const override {
    return fingerprint_with(fmt::format("windows {} {}", length_, stride_));
  }

  bool read_sample(int64_t index, std::span<Place> places) const override {
    bool other = false;
    std::vector<Place> step(places.begin(), places.end());
    for (int64_t i = 0; i < length_; ++i) {
      for (size_t f = 0; f < places.size(); ++f)
        if (places[f].row)
          step[f].row = static_cast<char*>(places[f].row) +
                        (schema_.fields[f].name == kSequence ? 0 : i * inner_->schema().fields[f].bytes());
      other |= inner_->read_sample(start(index) + i, step);
    }
    return other;
  }

  void prefetch(const std::vector<int64_t>& indices) const override {
    std::vector<int64_t> all;
    for (const int64_t index : indices)
      for (int64_t i = 0; i < length_; ++i) all.push_back(start(index) + i);
    inner_->prefetch(all);
  }

 private:
  int64_t start(int64_t index) const {
    require(index >= 0 && index < size(), Exit::bug, "window {} of {}", index, size());
    return starts_.empty() ? index * stride_ : starts_[size_t(index)];
  }

  void find_starts() {
    const int64_t total = inner_->size();
    if (!schema_.has(kSequence)) {
      count_ = total < length_ ? 0 : (total - length_) / stride_ + 1;
      return;
    }
    const Field& field = schema_[kSequence];
    require(field.shape.empty() && field.dtype == torch::kLong, Exit::usage,
            "windows: field sequence should be int64 [] (a number for each sequence), found {}",
            describe(schema_));
    const std::vector<int64_t> of = sequences(size_t(&field - schema_.fields.data()));
    for (int64_t begin = 0, end = 0; begin < total; begin = end) {
      for (end = begin; end < total && of[size_t(end)] == of[size_t(begin)];) ++end;
      for (int64_t at = begin; at + length_ <= end; at += stride_) starts_.push_back(at);
    }
  }

  std::vector<int64_t> sequences(size_t field) const {
    std::vector<int64_t> of(size_t(inner_->size()));
    std::vector<Place> places(schema_.fields.size());
    for (size_t i = 0; i < of.size(); ++i) {
      places[field].row = &of[i];
      inner_->read_sample(int64_t(i), places);
    }
    return of;
  }

  int64_t length_, stride_, count_ = 0;
  Schema schema_;
  std::vector<int64_t> starts_;  // by window; empty without sequences: multiples of the stride
};

constexpr int64_t kStackedTimes = 32;

class Stacked final : public Decorator {
 public:
  Stacked(std::shared_ptr<Dataset> inner, int64_t count) : Decorator(std::move(inner)), count_(count) {
    const Schema& all = inner_->schema();
    require(all.has("image") && all["image"].shape.size() == 3 && all["image"].shape[0] == 1, Exit::usage,
            "data.stack makes channels of grey pictures, the data have {}", describe(all));
    for (const char* name : {"image", "label"})
      if (all.has(name)) {
        schema_.fields.push_back(all[name]);
        from_.push_back(size_t(&all[name] - all.fields.data()));
      }
    schema_.fields[0].shape[0] = count;
    if (schema_.fields.size() == 1) return;
    Field& label = schema_.fields[1];
    label.class_names.clear();
    const int64_t classes = label.classes;
    for (int64_t i = 1; i < count; ++i) {
      require(label.classes <= (int64_t{1} << 31) / classes, Exit::usage,
              "data.stack = {} of {} classes are too many combinations", count, classes);
      label.classes *= classes;
    }
  }
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return kStackedTimes * inner_->size(); }
  std::string fingerprint() const override { return fingerprint_with(fmt::format("stacked {}", count_)); }
  bool read_sample(int64_t index, std::span<Place> places) const override {
    const Schema& all = inner_->schema();
    std::vector<Place> of(all.fields.size());
    bool other = false;
    int64_t label = 0, number = 0;
    for (int64_t c = 0; c < count_; ++c) {
      for (size_t f = 0; f < places.size(); ++f)
        if (places[f].row)
          of[from_[f]].row = f == 0 ? static_cast<char*>(places[f].row) + c * all["image"].bytes()
                                    : static_cast<void*>(&label);
      other |= inner_->read_sample(source(index, c), of);
      if (places.size() > 1) number = number * all["label"].classes + label;
    }
    if (places.size() > 1 && places[1].row) std::memcpy(places[1].row, &number, sizeof number);
    return other;
  }
  void prefetch(const std::vector<int64_t>& indices) const override {
    std::vector<int64_t> all;
    for (const int64_t index : indices)
      for (int64_t c = 0; c < count_; ++c) all.push_back(source(index, c));
    inner_->prefetch(all);
  }

 private:
  int64_t source(int64_t index, int64_t channel) const {
    return Shuffle(inner_->size(), Stream(0, "stacked", uint64_t(channel)).key)(index);
  }
  int64_t count_;
  Schema schema_;
  std::vector<size_t> from_;  // by field: its number in the inner data set
};

class Numbered final : public Decorator {
 public:
  explicit Numbered(std::shared_ptr<Dataset> inner) : Decorator(std::move(inner)), schema_(inner_->schema()) {
    require(!schema_.has("id"), Exit::usage,
            "this system numbers its samples in a field id, and the data have one already: {}",
            describe(schema_));
    schema_.fields.push_back(
        {.name = "id", .shape = {}, .dtype = torch::kLong, .classes = 0, .class_names = {}});
  }
  const Schema& schema() const override { return schema_; }
  bool read_sample(int64_t index, std::span<Place> places) const override {
    if (void* row = places.back().row) std::memcpy(row, &index, sizeof index);
    return inner_->read_sample(index, places.first(places.size() - 1));
  }

 private:
  Schema schema_;
};

class FewLabels final : public Decorator {
 public:
  FewLabels(std::shared_ptr<Dataset> inner, const std::string& label, int64_t per_class, double wrong,
            uint64_t seed, int threads)
      : Decorator(std::move(inner)), what_(fmt::format("labels {} {} {} {}", label, per_class, wrong, seed)) {
    const ClassTable table = class_table(*inner_, label, threads);
    field_ = size_t(&schema()[label] - schema().fields.data());
    const int64_t classes = table.classes();
    require(wrong == 0 || classes > 1, Exit::usage, "data.label_noise: there is no other class than one");
    for (int64_t c = 0; c < classes; ++c) {
      const Shuffle order(std::max<int64_t>(1, table.count(c)), Stream(seed, "labels", uint64_t(c)).key);
      const int64_t kept = per_class > 0 ? std::min(per_class, table.count(c)) : table.count(c);
      const auto mistaken = int64_t(std::lround(wrong * double(kept)));
      for (int64_t i = 0; i < kept; ++i) {
        labels_[table.sample(c, order(i))] = i < mistaken ? (c + 1 + i % (classes - 1)) % classes : c;
      }
    }
    provenance_ = inner_->provenance();
    provenance_["known_labels"] = labels_.size();
  }
  const nlohmann::json& provenance() const override { return provenance_; }
  std::string fingerprint() const override { return fingerprint_with(what_); }
  bool read_sample(int64_t index, std::span<Place> places) const override {
    const bool other = inner_->read_sample(index, places);
    if (void* row = places[field_].row) {
      const auto known = labels_.find(index);
      const int64_t label = known == labels_.end() ? -1 : known->second;
      std::memcpy(row, &label, sizeof label);
    }
    return other;
  }

 private:
  std::string what_;
  nlohmann::json provenance_;
  size_t field_ = 0;
  std::unordered_map<int64_t, int64_t> labels_;  // by sample, of those that are known
};

class Cached final : public Decorator {
 public:
  Cached(std::shared_ptr<Dataset> inner, int threads, int64_t most) : Decorator(std::move(inner)) {
    const double bytes = double(row_bytes()) * double(inner_->size());
    require(bytes <= double(most), Exit::usage,
            "the data set takes {:.1f} GiB in memory, and {:.1f} GiB are free for it: leave data.cache = "
            "\"none\", or start fewer ranks a host",
            bytes / (1 << 30), double(most) / (1 << 30));
    memory_.reset(new char[size_t(bytes)]);
    fill(threads);
  }

  bool read_sample(int64_t index, std::span<Place> places) const override {
    require(index >= 0 && index < size(), Exit::bug, "sample {} of {}", index, size());
    const char* from = memory_.get() + index * row_bytes();
    for (size_t f = 0; f < places.size(); ++f) {
      const int64_t bytes = schema().fields[f].bytes();
      if (places[f].row) std::memcpy(places[f].row, from, size_t(bytes));
      std::memcpy(&places[f].length, from + bytes, sizeof(int64_t));
      from += bytes + int64_t(sizeof(int64_t));
    }
    bool other = false;
    std::memcpy(&other, from, sizeof other);
    return other;
  }
  void prefetch(const std::vector<int64_t>&) const override {}

 private:
  // Of a sample: its fields, each with its length, and whether another one stands in for it.
  int64_t row_bytes() const {
    return schema().sample_bytes() + int64_t(schema().fields.size() * sizeof(int64_t) + sizeof(bool));
  }

  void keep(int64_t index) {
    char* to = memory_.get() + index * row_bytes();
    std::vector<Place> places;
    for (const Field& field : schema().fields) {
      places.push_back({.row = to});
      to += field.bytes() + int64_t(sizeof(int64_t));
    }
    const bool other = inner_->read_sample(index, places);
    for (size_t f = 0; f < places.size(); ++f)
      std::memcpy(static_cast<char*>(places[f].row) + schema().fields[f].bytes(), &places[f].length,
                  sizeof(int64_t));
    std::memcpy(to, &other, sizeof other);
  }

  void fill(int threads) {
    std::exception_ptr error;
    std::mutex mutex;
    std::vector<std::thread> readers;
    for (int part = 0; part < threads; ++part)
      readers.emplace_back([&, mine = share(size(), part, threads)] {
        try {
          for (int64_t i = mine.first; i < mine.first + mine.count; ++i) keep(i);
        } catch (...) {
          const std::lock_guard lock(mutex);
          if (!error) error = std::current_exception();
        }
      });
    for (std::thread& reader : readers) reader.join();
    if (error) std::rethrow_exception(error);
  }

  std::unique_ptr<char[]> memory_;
};

}  // namespace

std::shared_ptr<Dataset> subset(std::shared_ptr<Dataset> data, std::vector<int64_t> indices) {
  return std::make_shared<Subset>(std::move(data), std::move(indices));
}

std::shared_ptr<Dataset> renamed(std::shared_ptr<Dataset> data,
                                 const std::vector<std::pair<std::string, std::string>>& names) {
  return std::make_shared<Renamed>(std::move(data), names);
}

std::shared_ptr<Dataset> windows(std::shared_ptr<Dataset> data, int64_t length, int64_t stride) {
  return std::make_shared<Windows>(std::move(data), length, stride);
}

std::shared_ptr<Dataset> stacked(std::shared_ptr<Dataset> data, int64_t count) {
  return std::make_shared<Stacked>(std::move(data), count);
}

std::shared_ptr<Dataset> numbered(std::shared_ptr<Dataset> data) {
  return std::make_shared<Numbered>(std::move(data));
}

std::shared_ptr<Dataset> few_labels(std::shared_ptr<Dataset> data, const std::string& label,
                                    int64_t per_class, double wrong, uint64_t seed, int threads) {
  return std::make_shared<FewLabels>(std::move(data), label, per_class, wrong, seed, threads);
}

std::shared_ptr<Dataset> cached(std::shared_ptr<Dataset> data, int threads, int64_t most) {
  return std::make_shared<Cached>(std::move(data), threads, most);
}

}  // namespace saddle
