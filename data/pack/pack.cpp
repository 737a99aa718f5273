#include "data/pack/pack.h"

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "data/shard_set.h"
#include "dist/error.h"
#include "dist/log.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

// A line on the terminal, or one in the log every ten seconds, from the second second on.
class Progress {
 public:
  explicit Progress(int64_t total) : total_(total) {}

  ~Progress() {
    if (drawn_) std::fputs("\r\x1b[K", stderr);
  }

  void at(int64_t done) {
    const double now = seconds();
    if (now < next_) return;
    const double rate = double(done) / now, left = double(total_ - done) / rate;
    const auto line = fmt::format("{} of {} samples, {:.0f}/s, {:.0f} s left", done, total_, rate, left);
    if (terminal_) fmt::print(stderr, "\r{}\x1b[K", line), drawn_ = true;
    if (!terminal_) log::info("{}", line);
    next_ = now + (terminal_ ? 0.2 : 10);
  }

 private:
  using Clock = std::chrono::steady_clock;
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  const int64_t total_;
  const Clock::time_point start_ = Clock::now();
  const bool terminal_ = isatty(2) != 0;
  double next_ = 1;
  bool drawn_ = false;
};

// Damaged samples: the first few in words, all in number.
struct Damage {
  int64_t count = 0;
  std::string first;

  void add(const Error& error, bool skip) {
    constexpr int64_t kShown = 10;
    if (count++ == 0) first = error.what();
    if (count <= kShown) log::warn("{}{}", skip ? "skipped: " : "", error.what());
    if (count == kShown + 1) log::warn("further damaged samples are only counted");
  }
};

// All that decides the bytes of a pack, and what a folder is compared by.
nlohmann::json provenance(const Source& source, const PackRequest& request) {
  nlohmann::json out = source.provenance;
  out["pack"] = {{"schema", to_json(source.schema)},
                 {"samples", source.count},
                 {"kept", request.samples},
                 {"shard_mib", request.shard_mib},
                 {"skip_bad", request.skip_bad}};
  return out;
}

bool is_rubble(const fs::path& folder) {  // only what an interrupted pack leaves
  for (const auto& entry : fs::directory_iterator(folder))
    if (!entry.path().filename().string().starts_with("shard-") &&
        !entry.path().filename().string().starts_with(kIndexFile))
      return false;
  return true;
}

bool same_pack(const std::string& out, const nlohmann::json& provenance) {
  if (!has_index(out)) return false;
  try {
    return read_index(out).provenance == provenance;
  } catch (const Error&) {
    return false;
  }
}

void make_room(const PackRequest& request) {
  fs::create_directories(request.out);
  require(request.force || (!has_index(request.out) && is_rubble(request.out)), Exit::usage,
          "{}: holds {}; choose another folder, remove it, or pass --force", request.out,
          has_index(request.out) ? "another data set, or the same packed in another way" : "other files");
  remove_shards(request.out);
}

void check_space(const PackRequest& request, const Source& source) {
  int64_t bytes = 0;
  for (const Field& field : source.schema.fields) bytes += field.bytes() + int64_t(sizeof(uint64_t));
  constexpr int64_t kSlack = 1 << 20;
  const int64_t needed = bytes * source.count + kSlack, free = int64_t(fs::space(request.out).available);
  require(needed <= free, Exit::io, "{}: needs {} MiB, its disk has {} MiB free", request.out, needed >> 20,
          free >> 20);
}

// With --samples N of a larger source: N of them, evenly spread, since sources are often sorted by class.
void thin(Source& source, int64_t samples) {
  if (samples <= 0 || samples >= source.count) return;
  source.sample = [all = source.count, samples, inner = source.sample](int64_t i) {
    return inner(i * all / samples);
  };
  source.count = samples;
}

Damage write_all(const Source& source, ShardWriter& writer, bool skip_bad) {
  Damage damage;
  Progress progress(source.count);
  for (int64_t i = 0; i < source.count; ++i) try {
      const Batch sample = source.sample(i);
      if (skip_bad || damage.count == 0) writer.append(sample);
      progress.at(i + 1);
    } catch (const Error& error) {
      if (error.kind != Exit::data) throw;
      damage.add(error, skip_bad);
    }
  require(damage.count == 0 || skip_bad, Exit::data,
          "{} of {} samples are damaged, the first: {}; mend or remove them, or pass --skip-bad",
          damage.count, source.count, damage.first);
  return damage;
}

Packed write(const PackRequest& request, const Source& source, const nlohmann::json& provenance) {
  make_room(request);
  try {
    check_space(request, source);
    ShardWriter writer(request.out, source.schema, request.shard_mib << 20);
    const Damage damage = write_all(source, writer, request.skip_bad);
    return {.index = writer.finish(provenance), .skipped = damage.count};
  } catch (...) {
    remove_shards(request.out);
    throw;
  }
}

}  // namespace

std::string importer_help() {
  std::string all;
  for (const Importer* importer : importers())
    all += fmt::format("\n  {}: {}", importer->name, importer->takes);
  return all;
}

Source open_source(const PackRequest& request) {
  for (const Importer* importer : importers())
    if (importer->accepts(request)) return importer->open(request);
  fail(Exit::usage, "{}: {}; SOURCE may be{}", request.source,
       fs::exists(request.source) ? "not a source that is known" : "no such file, folder or generated set",
       importer_help());
}

Packed pack(const PackRequest& request) try {
  require(request.shard_mib > 0, Exit::usage, "--shard-mib: expected at least 1, found {}",
          request.shard_mib);
  Source source = open_source(request);
  const auto identity = provenance(source, request);
  if (!request.force && same_pack(request.out, identity))
    return {.index = read_index(request.out), .already = true};
  thin(source, request.samples);
  return write(request, source, identity);
} catch (const fs::filesystem_error& error) {
  fail(Exit::io, "{}", error.what());
}

}  // namespace saddle
