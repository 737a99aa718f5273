#include "data/check/audit_shard.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <exception>
#include <thread>

#include "data/as_integers.h"
#include "data/checksum.h"
#include "data/view/kind.h"
#include "dist/error.h"

namespace saddle {
namespace {

constexpr int64_t kBlockBytes = int64_t{4} << 20;  // what a thread takes on at once
constexpr int64_t kBlockRows = 1 << 16;
constexpr size_t kNamed = 10;              // problems of a shard that are told in words
constexpr size_t kFirst = 5;               // constant samples that are named
constexpr int64_t kMostClasses = 1 << 20;  // beyond, classes are not counted

// The rows of one field in one block that match their checksums, one after another.
struct Rows {
  std::vector<char> bytes;       // more than they need
  std::vector<int64_t> numbers;  // in the shard
  std::vector<int64_t> begins;   // in bytes, of each and of what follows the last

  void clear() { numbers.clear(), begins.assign(1, 0); }
  void make_room(int64_t size) {
    if (size_t(size) > bytes.size()) bytes.resize(std::max(size_t(size), bytes.size() * 2));
  }
  size_t count() const { return numbers.size(); }
  const char* begin(size_t i) const { return bytes.data() + begins[i]; }
  int64_t size(size_t i) const { return begins[i + 1] - begins[i]; }
};

int64_t length_of(const Shard& shard, const Field& field, size_t f,
                  int64_t row) {  // steps, of a variable field
  return field.variable ? shard.length(f, row) : 0;
}

void add_problem(ShardAudit& audit, std::string problem) {
  if (audit.problems.size() < kNamed)
    audit.problems.push_back(std::move(problem));
  else
    ++audit.more;
}

// The values of a plane, whose being all the same makes a picture blank.
int64_t plane_values(const Field& field) {
  const Kind kind = kind_of(field);
  if (!is_pictorial(kind)) return 0;
  const bool deep = kind == Kind::volume || kind == Kind::map_volume;
  int64_t values = 1;
  for (size_t extent = field.shape.size() - (deep ? 3 : 2); extent < field.shape.size(); ++extent)
    values *= field.shape[extent];
  return values;
}

bool is_constant(const char* bytes, int64_t size, int64_t plane, int64_t element) {
  for (int64_t at = 0; at < size; at += plane)
    if (std::memcmp(bytes + at, bytes + at + element, size_t(plane - element)) != 0) return false;
  return size > 0;
}

// One thread's work on one block after another; it keeps its memory.
class BlockAudit {
 public:
  BlockAudit(const Shard& shard, const Schema& schema, const ShardInfo& info, int64_t first_sample)
      : shard_(shard), schema_(schema), info_(info), first_sample_(first_sample) {}

  ShardAudit audit(int64_t from, int64_t until) {
    ShardAudit out;
    for (size_t f = 0; f < schema_.fields.size(); ++f) {
      read(out, f, from, until);
      out.fields.push_back(figures(out, f));
    }
    return out;
  }

  int64_t bytes() const { return bytes_; }  // read so far

 private:
  void read(ShardAudit& out, size_t f, int64_t from, int64_t until) {
    const Field& field = schema_.fields[f];
    rows_.clear();
    lengths_.clear();
    if (!field.variable) rows_.make_room((until - from) * field.bytes());
    for (int64_t row = from; row < until; ++row) try {
        const int64_t length = length_of(shard_, field, f, row);
        require(length >= 0 && (!field.variable || length <= field.shape[0]), Exit::data,
                "{}: field {} of sample {}: expected at most {} steps, found {}", info_.file, field.name, row,
                field.shape.empty() ? 0 : field.shape[0], length);
        const int64_t size = field.variable ? length * field.row_bytes() : field.bytes();
        rows_.make_room(rows_.begins.back() + size);
        shard_.read(f, row, rows_.bytes.data() + rows_.begins.back());
        rows_.numbers.push_back(row);
        rows_.begins.push_back(rows_.begins.back() + size);
        if (field.variable) lengths_.push_back(length);
        bytes_ += size;
      } catch (const Error& error) {
        add_problem(out, error.what());
      }
  }

  FieldFigures figures(ShardAudit& out, size_t f) const {
    const Field& field = schema_.fields[f];
    const auto element = int64_t(torch::elementSize(field.dtype));
    FieldFigures figures{.values = tally(field.dtype, rows_.bytes.data(), rows_.begins.back() / element)};
    if (figures.values.nans + figures.values.infinities > 0) name_not_finite(out, field);
    if (field.classes > 0) count_classes(out, field, figures);
    if (const int64_t plane = plane_values(field); plane > 1)
      find_constant(plane * element, element, figures);
    if (field.variable) measure(figures);
    return figures;
  }

  void name_not_finite(ShardAudit& out, const Field& field) const {
    const auto element = int64_t(torch::elementSize(field.dtype));
    for (size_t i = 0; i < rows_.count(); ++i) {
      const Tally values = tally(field.dtype, rows_.begin(i), rows_.size(i) / element);
      if (values.nans + values.infinities > 0)
        add_problem(out, fmt::format("{}: field {} of sample {}: {} values are NaN, {} infinite", info_.file,
                                     field.name, rows_.numbers[i], values.nans, values.infinities));
    }
  }

  void count_classes(ShardAudit& out, const Field& field, FieldFigures& figures) const {
    std::vector<int64_t> counts(field.classes <= kMostClasses ? size_t(field.classes) : 0);
    const auto element = int64_t(torch::elementSize(field.dtype));
    for (size_t i = 0; i < rows_.count(); ++i)
      as_integers(field.dtype, rows_.begin(i), rows_.size(i) / element, [&](const auto* values, int64_t n) {
        int64_t wrong = 0, example = 0;
        for (int64_t k = 0; k < n; ++k) {
          const auto value = int64_t(values[k]);
          if (value < 0 || value >= field.classes)
            ++wrong, example = value;
          else if (!counts.empty())
            ++counts[size_t(value)];
        }
        if (wrong > 0)
          add_problem(out, fmt::format("{}: field {} of sample {}: expected {} below {}, found {}",
                                       info_.file, field.name, rows_.numbers[i],
                                       kind_of(field) == Kind::label ? "a label" : "classes", field.classes,
                                       example));
      });
    for (size_t c = 0; c < counts.size(); ++c)
      if (counts[c] > 0) figures.per_class.emplace(int64_t(c), counts[c]);
  }

  void find_constant(int64_t plane, int64_t element, FieldFigures& figures) const {
    for (size_t i = 0; i < rows_.count(); ++i) {
      if (!is_constant(rows_.begin(i), rows_.size(i), plane, element)) continue;
      if (figures.constant++ < int64_t(kFirst))
        figures.first_constant.push_back(first_sample_ + rows_.numbers[i]);
    }
  }

  void measure(FieldFigures& figures) const {
    if (lengths_.empty()) return;
    figures.sequences = int64_t(lengths_.size());
    for (const int64_t length : lengths_) figures.steps += length;
    const auto [least, most] = std::minmax_element(lengths_.begin(), lengths_.end());
    figures.shortest = *least, figures.longest = *most;
  }

  const Shard& shard_;
  const Schema& schema_;
  const ShardInfo& info_;
  const int64_t first_sample_;
  int64_t bytes_ = 0;
  Rows rows_;  // of the field at hand
  std::vector<int64_t> lengths_;
};

// Calls work(thread, i) for i in [0, count) from `threads` threads; the first exception ends it and is
// thrown.
void in_threads(int threads, int64_t count, const std::function<void(size_t, int64_t)>& work) {
  std::atomic<int64_t> next = 0;
  std::vector<std::exception_ptr> errors(size_t(std::max(1, threads)));
  const auto run = [&](size_t t) noexcept {
    try {
      for (int64_t i = next++; i < count; i = next++) work(t, i);
    } catch (...) {
      errors[t] = std::current_exception();
      next = count;
    }
  };
  std::vector<std::thread> others;
  for (size_t t = 1; t < errors.size() && int64_t(t) < count; ++t) others.emplace_back(run, t);
  run(0);
  for (auto& thread : others) thread.join();
  for (const auto& error : errors)
    if (error) std::rethrow_exception(error);
}

// A damaged index may claim samples larger than the files that hold them; deflate packs at most 1032 to 1.
void require_plausible(const Schema& schema, const ShardInfo& info) {
  constexpr int64_t kMostPacked = 1100;
  for (const Field& field : schema.fields)
    require(field.bytes() / kMostPacked <= info.bytes, Exit::data,
            "{}: field {} has {} bytes a sample, more than the file can hold", info.file, field.name,
            field.bytes());
}

void check_digest(const Shard& shard, const Schema& schema, const ShardInfo& info) {
  std::vector<Column> columns(schema.fields.size());
  for (size_t f = 0; f < columns.size(); ++f) columns[f].checksums = shard.stored_checksums(f);
  const std::string found = shard_digest(columns);
  require(found == info.digest, Exit::data, "{}: its checksums are damaged: expected digest {}, found {}",
          info.file, info.digest, found);
}

void merge(ShardAudit& all, ShardAudit&& later) {
  for (auto& problem : later.problems) add_problem(all, std::move(problem));
  all.more += later.more;
  for (size_t f = 0; f < later.fields.size(); ++f) all.fields[f].merge(later.fields[f]);
}

void audit_blocks(ShardAudit& all, const Shard& shard, const Schema& schema, const ShardInfo& info,
                  int64_t first, int threads, PassProgress& progress) {
  const int64_t rows =
      std::clamp(kBlockBytes / std::max<int64_t>(1, schema.sample_bytes()), int64_t{1}, kBlockRows);
  std::vector<ShardAudit> blocks(size_t((info.count + rows - 1) / rows));
  std::vector<BlockAudit> workers(size_t(std::max(1, threads)), BlockAudit(shard, schema, info, first));
  in_threads(threads, int64_t(blocks.size()), [&](size_t thread, int64_t b) {
    BlockAudit& worker = workers[thread];
    const int64_t from = b * rows, until = std::min(info.count, from + rows), before = worker.bytes();
    blocks[size_t(b)] = worker.audit(from, until);
    progress.add(until - from, worker.bytes() - before);
  });
  for (auto& block : blocks) merge(all, std::move(block));
}

nlohmann::json pairs(const std::map<int64_t, int64_t>& map) {
  nlohmann::json out = nlohmann::json::array();
  for (const auto& [key, value] : map) out.push_back({key, value});
  return out;
}

}  // namespace

void FieldFigures::merge(const FieldFigures& later) {
  values.merge(later.values);
  for (const auto& [label, times] : later.per_class) per_class[label] += times;
  constant += later.constant;
  for (const int64_t sample : later.first_constant)
    if (first_constant.size() < kFirst) first_constant.push_back(sample);
  if (later.sequences > 0) {
    shortest = sequences > 0 ? std::min(shortest, later.shortest) : later.shortest;
    longest = std::max(longest, later.longest);
  }
  sequences += later.sequences;
  steps += later.steps;
}

nlohmann::json to_json(const FieldFigures& f) {
  return {{"values", to_json(f.values)}, {"per_class", pairs(f.per_class)},
          {"constant", f.constant},      {"first", f.first_constant},
          {"sequences", f.sequences},    {"steps", f.steps},
          {"shortest", f.shortest},      {"longest", f.longest}};
}

FieldFigures figures_from_json(const nlohmann::json& in) {
  FieldFigures out{.values = tally_from_json(in.at("values")),
                   .per_class = {},
                   .constant = in.at("constant"),
                   .first_constant = in.at("first"),
                   .sequences = in.at("sequences"),
                   .steps = in.at("steps"),
                   .shortest = in.at("shortest"),
                   .longest = in.at("longest")};
  for (const auto& pair : in.at("per_class")) out.per_class.emplace(pair.at(0), pair.at(1));
  return out;
}

nlohmann::json to_json(const ShardAudit& audit) {
  nlohmann::json fields = nlohmann::json::array();
  for (const FieldFigures& each : audit.fields) fields.push_back(to_json(each));
  return {{"fields", fields}, {"problems", audit.problems}, {"more", audit.more}};
}

ShardAudit shard_audit_from_json(const nlohmann::json& in) {
  ShardAudit out{.problems = in.at("problems"), .more = in.at("more")};
  for (const auto& each : in.at("fields")) out.fields.push_back(figures_from_json(each));
  return out;
}

ShardAudit audit_shard(const std::string& path, const Schema& schema, const ShardInfo& info, int64_t first,
                       int threads, PassProgress& progress) {
  ShardAudit out{.fields = std::vector<FieldFigures>(schema.fields.size())};
  const auto guard = [&](const auto& work) {
    try {
      work();
    } catch (const Error& error) {
      add_problem(out, error.what());
    }
  };
  guard([&] {
    const Shard shard(path, schema, info);
    require_plausible(schema, info);
    guard([&] { shard.compare_with_hdf5(schema); });
    guard([&] { check_digest(shard, schema, info); });
    audit_blocks(out, shard, schema, info, first, threads, progress);
  });
  return out;
}

}  // namespace saddle
