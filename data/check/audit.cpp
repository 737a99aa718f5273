#include "data/check/audit.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "data/checksum.h"
#include "data/store/shard.h"
#include "data/view/kind.h"
#include "dist/agree.h"
#include "dist/error.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

constexpr auto kReplace = nlohmann::json::error_handler_t::replace;  // paths need not be UTF-8

std::string path_in(const std::string& folder, const std::string& file) {
  return (fs::path(folder) / file).string();
}

// Faults of the index itself.
void check_listing(const Index& index, std::vector<std::string>& problems) {
  std::map<std::string, size_t> files, digests;
  for (size_t s = 0; s < index.shards.size(); ++s) {
    const ShardInfo& shard = index.shards[s];
    const auto [file, new_file] = files.emplace(shard.file, s);
    if (!new_file) {
      problems.push_back(
          fmt::format("{}: lists {} twice, as shards {} and {}", kIndexFile, shard.file, file->second, s));
      continue;
    }
    const auto [digest, new_digest] = digests.emplace(shard.digest, s);
    if (!new_digest)
      problems.push_back(fmt::format("{}: {} and {} hold the same samples (digest {})", kIndexFile,
                                     index.shards[digest->second].file, shard.file, shard.digest));
  }
}

// The listed shard that `path` is a copy of, or none.
const ShardInfo* original_of(const std::string& path, const Index& index) {
  std::error_code error;
  const auto bytes = int64_t(fs::file_size(path, error));
  for (const ShardInfo& info : index.shards) try {
      if (bytes == info.bytes) return Shard(path, index.schema, info), &info;
    } catch (const Error&) {  // it is another one
    }
  return nullptr;
}

// Files that look like parts of the data set and are not in its index.
void check_folder(const std::string& folder, Audit& audit) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const auto is_this = [&](const ShardInfo& info) { return info.file == name; };
    if (std::any_of(audit.index.shards.begin(), audit.index.shards.end(), is_this)) continue;
    if (name.ends_with(".h5")) {
      const ShardInfo* original = original_of(path_in(folder, name), audit.index);
      audit.problems.push_back(fmt::format("{}: is not in {}{}; remove it", path_in(folder, name), kIndexFile,
                                           original ? ", and is a copy of " + original->file : ""));
    } else if (name.ends_with(".h5.tmp") || name == std::string(kIndexFile) + ".tmp") {
      audit.notes.push_back(fmt::format("{}: was left by an interrupted pack, or another one is running",
                                        path_in(folder, name)));
    }
  }
}

// What copies are told by: the first field that can be seen, else the first that is no label.
int compared_field(const Schema& schema) {
  const auto& fields = schema.fields;
  for (size_t f = 0; f < fields.size(); ++f)
    if (is_pictorial(kind_of(fields[f]))) return int(f);
  for (size_t f = 0; f < fields.size(); ++f)
    if (kind_of(fields[f]) != Kind::label) return int(f);
  return -1;
}

using Checksums = std::vector<std::vector<uint64_t>>;  // by field, of one shard

// Calls `visit` with the checksums of one shard after the other.
template <class Visit>
void for_checksums(const std::string& folder, const Index& index, Visit visit) {
  for (const ShardInfo& info : index.shards) {
    const Shard shard(path_in(folder, info.file), index.schema, info);
    Checksums all;
    for (size_t f = 0; f < index.schema.fields.size(); ++f) all.push_back(shard.stored_checksums(f));
    visit(all);
  }
}

struct Mark {
  uint64_t checksum;
  int64_t sample;
  auto operator<=>(const Mark&) const = default;
};

Copies find_copies(std::vector<Mark>& marks, const std::string& field) {
  constexpr size_t kShown = 5;
  std::sort(marks.begin(), marks.end());
  Copies out{.field = field};
  const auto by_sample = [](const auto& a, const auto& b) { return a.second < b.second; };
  size_t original = 0;
  for (size_t i = 1; i < marks.size(); ++i) {
    if (marks[i].checksum != marks[original].checksum) {
      original = i;
      continue;
    }
    ++out.count;
    const std::pair pair(marks[original].sample, marks[i].sample);
    out.first.insert(std::upper_bound(out.first.begin(), out.first.end(), pair, by_sample), pair);
    if (out.first.size() > kShown) out.first.pop_back();
  }
  return out;
}

// What only the whole set shows, from its checksums alone: its fingerprint, and copies.
void check_whole(const std::string& folder, Audit& audit) {
  const Index& index = audit.index;
  const int compared = compared_field(index.schema);
  Fingerprint fingerprint(index.schema);
  std::vector<Mark> marks;
  if (compared >= 0) marks.reserve(size_t(index.count));
  for_checksums(folder, index, [&](const Checksums& all) {
    for (size_t row = 0; row < all[0].size(); ++row) {
      for (const auto& column : all) fingerprint.add(column[row]);
      if (compared >= 0) marks.push_back({all[size_t(compared)][row], int64_t(marks.size())});
    }
  });
  if (fingerprint.text() != index.fingerprint)
    audit.problems.push_back(
        fmt::format("{}: expected fingerprint {}, found {}: shards are in another order or replaced",
                    kIndexFile, index.fingerprint, fingerprint.text()));
  if (compared >= 0) audit.copies = find_copies(marks, index.schema.fields[size_t(compared)].name);
}

// This rank's shards, as {"number": shard, "audit": ...}.
nlohmann::json audit_own(const std::string& folder, const Index& index, const Comm& comm, int threads,
                         bool show) {
  int64_t mine = 0, first = 0;
  for (size_t s = size_t(comm.rank()); s < index.shards.size(); s += size_t(comm.size()))
    mine += index.shards[s].count;
  PassProgress progress(comm.size() > 1 ? "rank 0 checked" : "checked", mine, show && comm.rank() == 0);
  nlohmann::json out = nlohmann::json::array();
  for (size_t s = 0; s < index.shards.size(); ++s) {
    const ShardInfo& info = index.shards[s];
    if (s % size_t(comm.size()) == size_t(comm.rank()))
      out.push_back({{"number", s},
                     {"audit", to_json(audit_shard(path_in(folder, info.file), index.schema, info, first,
                                                   threads, progress))}});
    first += info.count;
  }
  return out;
}

std::map<size_t, ShardAudit> audit_all(const std::string& folder, const Index& index, const Comm& comm,
                                       int threads, bool show) {
  std::string mine;
  comm.together([&] { mine = audit_own(folder, index, comm, threads, show).dump(-1, ' ', false, kReplace); },
                "check shards");
  std::map<size_t, ShardAudit> all;
  for (const std::string& theirs : comm.all_gather_text(mine, "audits"))
    for (const auto& each : nlohmann::json::parse(theirs))
      all.emplace(each.at("number"), shard_audit_from_json(each.at("audit")));
  return all;
}

// In the order of shards, so that sums of floats are the same on any number of ranks.
void merge_shards(Audit& audit, const std::map<size_t, ShardAudit>& shards) {
  audit.fields.resize(audit.index.schema.fields.size());
  for (const auto& [number, shard] : shards) {
    audit.problems.insert(audit.problems.end(), shard.problems.begin(), shard.problems.end());
    if (shard.more > 0)
      audit.problems.push_back(
          fmt::format("{}: and {} more problems", audit.index.shards[number].file, shard.more));
    for (size_t f = 0; f < shard.fields.size(); ++f) audit.fields[f].merge(shard.fields[f]);
    audit.bytes += audit.index.shards[number].bytes;
  }
}

// Does `work` on rank 0 and gives all ranks what it found.
void on_rank_0(const Comm& comm, Audit& audit, const std::function<void()>& work) {
  comm.together([&] {
    if (comm.rank() == 0) work();
  });
  const nlohmann::json mine{{"problems", audit.problems},
                            {"notes", audit.notes},
                            {"field", audit.copies.field},
                            {"copies", audit.copies.count},
                            {"first", audit.copies.first}};
  const auto found = nlohmann::json::parse(comm.broadcast_text(mine.dump(-1, ' ', false, kReplace)));
  audit.problems = found.at("problems");
  audit.notes = found.at("notes");
  audit.copies = {.field = found.at("field"), .count = found.at("copies"), .first = found.at("first")};
}

Index read_same_index(const std::string& folder, const Comm& comm) {
  Index index{.schema = {}};
  comm.together([&] { index = read_index(folder); });
  require_same(comm, "data set", index.fingerprint, Exit::data);
  return index;
}

void add_notes(Audit& audit) {
  for (size_t f = 0; f < audit.fields.size(); ++f)
    if (const FieldFigures& field = audit.fields[f]; field.constant > 0)
      audit.notes.push_back(fmt::format("field {} is blank in {} samples: {}{}",
                                        audit.index.schema.fields[f].name, field.constant,
                                        fmt::join(field.first_constant, ", "),
                                        field.constant > int64_t(field.first_constant.size()) ? " ..." : ""));
  const Copies& copies = audit.copies;
  if (copies.count == 0) return;
  std::string pairs;
  for (const auto& [original, copy] : copies.first)
    pairs += fmt::format("{}{} = {}", pairs.empty() ? "" : ", ", original, copy);
  audit.notes.push_back(fmt::format("field {} of {} samples repeats an earlier one: {}{}", copies.field,
                                    copies.count, pairs,
                                    copies.count > int64_t(copies.first.size()) ? " ..." : ""));
}

std::vector<uint64_t> sorted_checksums(const std::string& folder, const Index& index, size_t field) {
  std::vector<uint64_t> out;
  for_checksums(folder, index,
                [&](const Checksums& all) { out.insert(out.end(), all[field].begin(), all[field].end()); });
  std::sort(out.begin(), out.end());
  return out;
}

int64_t count_shared(const std::string& folder, const std::string& other) {
  const Index one = read_index(folder), two = read_index(other);
  const int f = compared_field(one.schema);
  if (f < 0 || one.schema != two.schema) return 0;
  const auto known = sorted_checksums(folder, one, size_t(f)),
             asked = sorted_checksums(other, two, size_t(f));
  return std::count_if(asked.begin(), asked.end(), [&](uint64_t checksum) {
    return std::binary_search(known.begin(), known.end(), checksum);
  });
}

}  // namespace

Audit audit(const std::string& folder, const Comm& comm, int threads, bool show) {
  const auto start = std::chrono::steady_clock::now();
  Audit audit{.index = read_same_index(folder, comm)};
  on_rank_0(comm, audit, [&] {
    check_listing(audit.index, audit.problems);
    check_folder(folder, audit);
  });
  const size_t listing = audit.problems.size();
  merge_shards(audit, audit_all(folder, audit.index, comm, threads, show));
  const bool damaged = audit.problems.size() > listing;
  on_rank_0(comm, audit, [&] {
    if (!damaged) check_whole(folder, audit);
  });
  add_notes(audit);
  audit.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return audit;
}

int64_t shared_samples(const std::string& folder, const std::string& other, const Comm& comm) {
  int64_t count = 0;
  comm.together([&] {
    if (comm.rank() == 0) count = count_shared(folder, other);
  });
  return std::stoll(comm.broadcast_text(std::to_string(count)));
}

}  // namespace saddle
