#include "data/pack/pack.h"

#include <ATen/Parallel.h>
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>

#include "data/pack/files/room.h"
#include "data/pack/select.h"
#include "data/progress.h"
#include "data/store/shard_writer.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/json.h"
#include "dist/log.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Damaged samples of one rank: the first few in words, all in number.
struct Damage {
  int64_t count = 0;
  std::string first;

  void add(const Error& error, bool skip) {
    constexpr size_t kShown = 10;
    if (count++ == 0) first = error.what();
    if (said.size() > kShown || !said.insert(without_index(error.what())).second) return;
    if (said.size() <= kShown)
      log::warn("{}{}", skip ? "skipped: " : "", error.what());
    else
      log::warn("further damaged samples are only counted");
  }

 private:
  // Of an array many samples are damaged in one way: it is said of the first.
  static std::string without_index(std::string message) {
    constexpr std::string_view kSample = ": sample ";
    const size_t at = message.find(kSample);
    if (at == std::string::npos) return message;
    const size_t from = at + kSample.size();
    return message.erase(from, message.find_first_not_of("0123456789", from) - from);
  }

  std::set<std::string> said;  // without the numbers of samples
};

// Paths may hold any bytes, JSON only UTF-8.
json escaped(const json& in) {
  if (in.is_string()) return escape_bytes(in.get_ref<const std::string&>());
  json out = in;
  if (in.is_structured())
    for (auto& each : out) each = escaped(each);
  return out;
}

// All that decides the bytes of a pack, and what a folder is compared by.
json provenance(const Source& source, const PackRequest& request, const Selection& part) {
  json out = source.provenance;
  out["pack"] = {{"schema", to_json(source.schema)},
                 {"samples", source.count},
                 {"kept", request.samples},
                 {"shard_mib", request.shard_mib},
                 {"skip_bad", request.skip_bad}};
  json& how = out["pack"];
  if (request.compress) how["compress"] = request.compress;
  if (request.max_sample_mib != kMaxSampleMib) how["max_sample_mib"] = request.max_sample_mib;
  if (!request.subset.empty() || !request.validation.empty())
    how["choice"] = {{"subset", request.subset},
                     {"validation", request.validation},
                     {"part", part.folder},
                     {"seed", request.seed}};
  if (!request.given.empty()) how["flags"] = request.given;
  return escaped(out);
}

// For the reader; no part of what a pack is compared by.
json report(const Source& source, int64_t skipped) {
  json out{{"importer", source.importer},
           {"why", source.why},
           {"left_out", to_json(source.left_out)},
           {"notes", source.notes}};
  if (skipped) out["skipped"] = skipped;
  return out;
}

bool is_rubble(const fs::path& folder) {  // only what an interrupted pack leaves
  const Walk found = walk(folder.string(), /*deep=*/false);
  if (!found.folders.empty() || !found.left_out.empty()) return false;
  for (const Walk::File& file : found.files) {
    const std::string& name = file.name;
    if (!name.starts_with("shard-") && !name.starts_with(kIndexFile) && !name.starts_with(kPlanFile))
      return false;
  }
  return true;
}

json without_report(json provenance) {
  if (provenance.is_object()) provenance.erase("report");
  return provenance;
}

bool same_pack(const std::string& out, const json& provenance) {
  if (!has_index(out)) return false;
  try {
    return without_report(read_index(out).provenance) == provenance;
  } catch (const Error&) {
    return false;
  }
}

std::string plan_path(const std::string& folder) {
  return (fs::path(folder) / kPlanFile).string();
}

void clear(const std::string& folder) {
  remove_shards(folder);
  fs::remove(plan_path(folder));
}

json read_plan(const std::string& folder) try {
  return without_report(read_json(plan_path(folder)));
} catch (const Error& error) {
  if (error.kind != Exit::data) throw;
  return {};  // of another version, or damaged: another plan
}

// Leaves the folder with this plan and no shard but the plan's own. What was begun without --skip-bad goes on
// with it: its shards have nothing to skip.
void make_room(const std::string& folder, const json& plan, bool force) {
  std::error_code error;
  fs::create_directories(folder, error);
  require(!error, Exit::io, "{}: cannot be made: {}; choose another --out", folder, error.message());
  json strict = plan;
  strict["pack"]["skip_bad"] = false;
  bool interrupted = false;
  if (!has_index(folder) && fs::exists(plan_path(folder))) {
    const json found = read_plan(folder);
    interrupted = found == plan || found == strict;
  }
  if (!interrupted || force) {
    require(force || (!has_index(folder) && is_rubble(folder)), Exit::usage,
            "{}: holds {}; choose another folder, remove it, or pass --force", folder,
            has_index(folder) ? "another data set, or the same packed in another way" : "other files");
    clear(folder);
  }
  write_file(plan_path(folder), plan.dump(1));
}

// Of the shards that are missing. Variable and compressed ones take what they take.
void check_space(const std::string& folder, const PackRequest& request, const Schema& schema,
                 int64_t missing) {
  const bool known = request.compress == 0 && std::none_of(schema.fields.begin(), schema.fields.end(),
                                                           [](const Field& field) { return field.variable; });
  constexpr int64_t kSlack = 1 << 20;
  const int64_t words = int64_t(schema.fields.size() * sizeof(uint64_t));
  const int64_t needed = (schema.sample_bytes() + words) * missing + kSlack;
  const int64_t free = int64_t(fs::space(folder).available);
  require(!known || needed <= free, Exit::io,
          "{}: needs {} MiB, its disk has {} MiB free: make room, or choose "
          "another --out",
          folder, needed >> 20, free >> 20);
}

// As asked, or a sixteenth of the data set within 4 and 256 MiB: enough shards for several ranks to share,
// whatever their number, which must not change the bytes.
int64_t shard_bytes(const PackRequest& request, const Schema& schema, int64_t count) {
  if (request.shard_mib > 0) return request.shard_mib << 20;
  const double all = double(schema.sample_bytes()) * double(count);
  return int64_t(std::clamp(all / 16, double(4 << 20), double(256 << 20)));
}

// One data set on its way: the shards of `part`, of which this rank writes every size-th.
class Job {
 public:
  Job(const PackRequest& request, const Source& source, const Selection& part, std::string folder,
      const Comm& comm)
      : request_(request),
        source_(source),
        part_(part),
        folder_(std::move(folder)),
        comm_(comm),
        provenance_(provenance(source, request, part)),
        count_(part.samples.empty() ? source.count : int64_t(part.samples.size())),
        capacity_(shard_capacity(source.schema, shard_bytes(request, source.schema, count_))),
        shards_(size_t((count_ + capacity_ - 1) / capacity_)) {}

  Packed run() {
    bool already = false;
    comm_.together([&] { already = !request_.force && same_pack(folder_, provenance_); });
    if (already) return {.folder = folder_, .index = read_index(folder_), .already = true};
    comm_.together([&] {
      if (comm_.rank() == 0) make_room(folder_, provenance_, request_.force);
    });
    try {
      comm_.together([&] { find_published(); });
      const int64_t missing = sum(to_do_);
      comm_.together([&] { check_space(folder_, request_, source_.schema, missing); });
      if (const int64_t shards = sum(resumed_))
        log::info("{}: going on with {} shards that are there already", folder_, shards);
      comm_.together([&] { write_mine(); });
      return finish();
    } catch (...) {
      if (comm_.rank() == 0) keep_whole_shards();
      throw;
    }
  }

 private:
  // After a full disk or damaged samples what is done need not be done again.
  void keep_whole_shards() const {
    int64_t whole = 0;
    for (size_t s = 0; s < shards_.size(); ++s)
      whole += fs::exists(fs::path(folder_) / shard_name(int64_t(s)));
    if (whole > 0)
      log::warn("{}: the {} shards that are whole stay; the same pack goes on from them", folder_, whole);
    else
      clear(folder_);
  }

  int64_t sum(int64_t mine) const {  // over the ranks
    int64_t all = 0;
    for (const std::string& text : comm_.all_gather_text(std::to_string(mine))) all += std::stoll(text);
    return all;
  }

  bool mine(size_t shard) const { return int(shard % size_t(comm_.size())) == comm_.rank(); }
  int64_t slots(size_t shard) const { return std::min(capacity_, count_ - int64_t(shard) * capacity_); }

  void find_published() {
    for (size_t s = 0; s < shards_.size(); ++s) {
      if (!mine(s)) continue;
      shards_[s] = published_shard(folder_, int64_t(s), source_.schema);
      if (shards_[s])
        ++resumed_, damage_.count += slots(s) - shards_[s]->count;
      else
        to_do_ += slots(s);
    }
  }

  void write_mine() {
    PassProgress progress(comm_.size() > 1 ? "of its share, rank 0 packed" : "packed", to_do_,
                          comm_.rank() == 0);
    for (size_t s = 0; s < shards_.size(); ++s) {
      if (!mine(s) || shards_[s]) continue;
      ShardBuilder builder(source_.schema, slots(s));
      decode(int64_t(s) * capacity_, slots(s), builder, progress);
      if (damage_.count > 0 && !request_.skip_bad) continue;  // only looks for more
      const std::vector<Column> columns = std::move(builder).columns();
      shards_[s] = columns[0].checksums.empty()
                       ? ShardInfo{}
                       : publish_shard(folder_, int64_t(s), source_.schema, columns, request_.compress);
    }
  }

  // Samples [first, first + count) into the slots, by several threads.
  void decode(int64_t first, int64_t count, ShardBuilder& builder, PassProgress& progress) {
    std::atomic<int64_t> next = 0;
    std::exception_ptr failure;
    const auto work = [&] {
      at::set_num_threads(1);  // of LibTorch in this thread
      for (int64_t slot; (slot = next++) < count;) try {
          builder.put(slot, sample(first + slot));
          progress.add(1);
        } catch (const Error& error) {
          const std::lock_guard lock(mutex_);
          if (error.kind == Exit::data) {
            damage_.add(error, request_.skip_bad);
            continue;
          }
          failure = std::current_exception(), next = count;
        } catch (...) {
          const std::lock_guard lock(mutex_);
          failure = std::current_exception(), next = count;
        }
    };
    std::vector<std::thread> threads;
    for (int64_t t = 1; t < (source_.serial ? 1 : request_.threads); ++t) threads.emplace_back(work);
    work();
    for (std::thread& thread : threads) thread.join();
    if (failure) std::rethrow_exception(failure);
  }

  Batch sample(int64_t i) const {
    return source_.sample(part_.samples.empty() ? i : part_.samples[size_t(i)]);
  }

  // What each rank knows, together; the index from rank 0.
  Packed finish() {
    Packed out{.folder = folder_, .skipped = sum(damage_.count), .resumed = sum(resumed_)};
    std::string first;
    for (const std::string& text : comm_.all_gather_text(damage_.first))
      if (first.empty()) first = text;
    require(out.skipped == 0 || request_.skip_bad, Exit::data,
            "{} of {} samples are damaged, the first: {}; mend or remove them, or pass --skip-bad",
            out.skipped, count_, first);
    require(out.skipped == 0 || out.skipped < count_, Exit::data,
            "all of {} samples are damaged, the first: {}", count_, first);
    comm_.together([&] {
      if (comm_.rank() == 0) publish(out.skipped);
    });
    comm_.together([&] { out.index = read_index(folder_); });
    return out;
  }

  void publish(int64_t skipped) {
    std::vector<ShardInfo> all;
    for (size_t s = 0; s < shards_.size(); ++s)
      if (fs::exists(fs::path(folder_) / shard_name(int64_t(s))))
        all.push_back(mine(s) && shards_[s]
                          ? *shards_[s]
                          : read_header(fs::path(folder_) / shard_name(int64_t(s)), source_.schema));
    json about = provenance_;
    about["report"] = escaped(report(source_, skipped));
    publish_index(folder_, source_.schema, all, about);
    fs::remove(plan_path(folder_));
  }

  const PackRequest& request_;
  const Source& source_;
  const Selection& part_;
  const std::string folder_;
  const Comm comm_;
  const json provenance_;
  const int64_t count_, capacity_;  // samples: of all shards, of one
  std::vector<std::optional<ShardInfo>>
      shards_;  // of this rank: those that are written; without a file if all were bad
  int64_t resumed_ = 0, to_do_ = 0;
  std::mutex mutex_;  // guards damage_ while threads decode
  Damage damage_;
};

}  // namespace

std::vector<Packed> pack(const PackRequest& asked, const Comm& comm) {
  PackRequest request = asked;
  request.threads = std::max<int64_t>(1, request.threads);
  comm.together([&] {
    if (!request.subset.empty()) request.subset = percentage("subset", request.subset);
    if (!request.validation.empty()) request.validation = percentage("validation", request.validation);
  });
  Source source;
  std::vector<Selection> parts;
  comm.together([&] {
    require(request.shard_mib >= 0, Exit::usage, "--shard-mib: expected 0 or more, found {}",
            request.shard_mib);
    require(request.max_sample_mib > 0, Exit::usage, "--max-sample-mib: expected 1 or more, found {}",
            request.max_sample_mib);
    source = open_source(request);
    require(source.count > 0, Exit::data, "{}: no sample in it", request.source);
    require_room(request.source, fmt::format("samples of {}", describe(source.schema)),
                 double(source.schema.sample_bytes()), request.most_bytes());
    parts = select(request, source);
  });
  std::vector<Packed> out;
  for (const Selection& part : parts)
    out.push_back(Job(request, source, part,
                      part.folder.empty() ? request.out : (fs::path(request.out) / part.folder).string(),
                      comm)
                      .run());
  return out;
}

Packed pack(const PackRequest& request) {
  require(request.validation.empty(), Exit::bug, "pack: a validation set makes two");
  return pack(request, World::alone()).front();
}

}  // namespace saddle
