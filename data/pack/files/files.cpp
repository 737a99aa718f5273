#include "data/pack/files/files.h"

#include <zip.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>

#include "data/pack/files/room.h"
#include "dist/error.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

int64_t seconds_of(fs::file_time_type time) {
  const auto system = std::chrono::file_clock::to_sys(time);
  return std::chrono::duration_cast<std::chrono::seconds>(system.time_since_epoch()).count();
}

class Folder : public Files {
 public:
  Folder(const std::string& root, const std::function<bool(const std::string&)>& keep) : Files(root, '/') {
    Walk found = walk(root);
    folders_ = std::move(found.folders), left_out_ = std::move(found.left_out);
    std::vector<Entry> entries;
    for (Walk::File& file : found.files) {
      if (!keep(file.name)) {
        leave_out(left_out_, kUnread, file.name);
        continue;
      }
      newest_ = std::max(newest_, file.changed), stored_ += file.bytes;
      entries.push_back({.name = std::move(file.name), .bytes = file.bytes});
    }
    take(std::move(entries));
  }

  std::string read(size_t i, int64_t most) const override {
    std::ifstream file(path(i), std::ios::binary | std::ios::ate);
    const auto there = int64_t(file.tellg());
    if (!file.good() || there < 0) fail(Exit::data, "{}: cannot be read: {}", path(i), std::strerror(errno));
    std::string out(size_t(std::min(there, most)), '\0');
    file.seekg(0).read(out.data(), std::streamsize(out.size()));
    if (!file.good()) fail(Exit::data, "{}: cannot be read to its end: {}", path(i), std::strerror(errno));
    return out;
  }
};

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using Handle = std::unique_ptr<zip_t, Discard>;

// libzip's handles serve one thread at a time, and each holds the archive's table: so there are few, lent in
// turn.
class Archive : public Files {
 public:
  Archive(const std::string& root, const std::function<bool(const std::string&)>& keep) : Files(root, ':') {
    const Handle handle = open();
    std::vector<Entry> entries = list(handle.get());
    unwrap(entries);
    name_folders(entries);
    std::erase_if(entries, [&](const Entry& entry) {
      if (entry.name.ends_with('/')) return true;
      if (keep(entry.name)) return false;
      leave_out(left_out_, kUnread, entry.name);
      return true;
    });
    stored_ = int64_t(fs::file_size(root));
    newest_ = seconds_of(fs::last_write_time(root));
    take(std::move(entries));
  }

  std::string read(size_t i, int64_t most) const override {
    Loan loan(*this);
    if (!loan.handle) loan.handle = open();
    return inflate(loan.handle.get(), i, most);
  }

 private:
  static constexpr int kHandles = 4;
  static constexpr int64_t kBestRatio = 1032;  // of deflate

  struct Loan {
    explicit Loan(const Archive& of) : of(of) {
      std::unique_lock lock(of.mutex_);
      of.returned_.wait(lock, [&] { return !of.idle_.empty() || of.lent_ < kHandles; });
      ++of.lent_;
      if (of.idle_.empty()) return;
      handle = std::move(of.idle_.back());
      of.idle_.pop_back();
    }
    ~Loan() {
      std::lock_guard lock(of.mutex_);
      --of.lent_;
      if (handle) of.idle_.push_back(std::move(handle));
      of.returned_.notify_one();
    }
    Loan(const Loan&) = delete;
    const Archive& of;
    Handle handle;
  };

  Handle open() const {
    int code = 0;
    Handle handle(zip_open(root_.c_str(), ZIP_RDONLY, &code));
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    require(handle != nullptr, Exit::data, "{}: damaged ZIP archive: {}", root_, reason);
    return handle;
  }

  // Files, and folders that have an entry of their own: their names end in '/'.
  std::vector<Entry> list(zip_t* handle) {
    std::vector<Entry> out;
    for (zip_int64_t k = 0; k < zip_get_num_entries(handle, 0); ++k) {
      zip_stat_t stat;
      require(zip_stat_index(handle, zip_uint64_t(k), 0, &stat) == 0 && (stat.valid & ZIP_STAT_NAME),
              Exit::data, "{}: damaged ZIP archive: {}", root_, zip_strerror(handle));
      std::string name = stat.name;
      std::replace(name.begin(), name.end(), '\\', '/');  // some programs of Windows
      if (name.empty() || (name.ends_with('/') && is_hidden(name))) continue;
      if (is_hidden(name)) {
        leave_out(left_out_, hidden_reason(name), name);
        continue;
      }
      out.push_back({.name = name, .bytes = int64_t(stat.size), .key = zip_uint64_t(k)});
    }
    return out;
  }

  void unwrap(std::vector<Entry>& entries) {
    if (entries.empty()) return;
    const std::string wrapper = entries[0].name.substr(0, entries[0].name.find('/') + 1);
    for (const Entry& entry : entries)
      if (wrapper.empty() || !entry.name.starts_with(wrapper)) return;
    for (Entry& entry : entries) entry.name.erase(0, wrapper.size());
    std::erase_if(entries, [](const Entry& entry) { return entry.name.empty(); });
    wrapper_ = wrapper.substr(0, wrapper.size() - 1);
  }

  void name_folders(const std::vector<Entry>& entries) {
    std::set<std::string> found;
    for (const Entry& entry : entries)
      if (const size_t slash = entry.name.find('/'); slash != std::string::npos)
        found.insert(entry.name.substr(0, slash));
    folders_.assign(found.begin(), found.end());
  }

  // Nothing is believed: neither that the archive is the one that was listed, nor the size that it claims.
  std::string inflate(zip_t* handle, size_t i, int64_t most) const {
    const auto ensure = [&](bool fine, const char* reason) {
      require(fine, Exit::data, "{}: damaged in its ZIP archive: {}", path(i), reason);
    };
    zip_stat_t stat;
    ensure(zip_stat_index(handle, keys_[i], 0, &stat) == 0, zip_strerror(handle));
    const auto claimed = int64_t(stat.size), packed = int64_t(stat.comp_size);
    ensure(claimed == bytes_[i] && claimed >= 0 && packed >= 0, "the archive has changed");
    ensure(stat.comp_method > ZIP_CM_DEFLATE || claimed / kBestRatio <= packed,
           "it claims to be larger than it can be");
    const std::unique_ptr<zip_file_t, Discard> file(zip_fopen_index(handle, keys_[i], 0));
    ensure(file != nullptr, zip_strerror(handle));
    std::string out;
    const int64_t wanted = std::min(claimed, most);
    while (int64_t(out.size()) < wanted) {
      constexpr int64_t kStep = 1 << 20;
      const size_t before = out.size();
      out.resize(before + size_t(std::min(kStep, wanted - int64_t(before))));
      const int64_t got = zip_fread(file.get(), out.data() + before, out.size() - before);
      ensure(got > 0, got < 0 ? zip_file_strerror(file.get()) : "it ends too early");
      out.resize(before + size_t(got));
    }
    char more;  // the checksum is looked at only at the end
    const int64_t rest = wanted < claimed ? 0 : zip_fread(file.get(), &more, 1);
    ensure(rest == 0, rest < 0 ? zip_file_strerror(file.get()) : "it is longer than it claims");
    return out;
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable returned_;
  mutable std::vector<Handle> idle_;
  mutable int lent_ = 0;
};

}  // namespace

std::string Files::path(size_t i) const {
  return root_ + separator_ + names_[i];
}

std::string Files::read_whole(size_t i, int64_t most) const {
  require_room(path(i), fmt::format("{} bytes", bytes(i)), double(bytes(i)), most);
  return read(i, std::numeric_limits<int64_t>::max());
}

std::optional<size_t> Files::find(const std::string& name) const {
  const auto at = std::lower_bound(names_.begin(), names_.end(), name);
  if (at == names_.end() || *at != name) return {};
  return size_t(at - names_.begin());
}

nlohmann::json Files::identity() const {
  return {{"source", root_}, {"files", names_.size()}, {"bytes", stored_}, {"newest", newest_}};
}

void Files::take(std::vector<Entry> entries) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  for (Entry& entry : entries) {
    require(names_.empty() || names_.back() != entry.name, Exit::data, "{}: holds {} twice", root_,
            entry.name);
    names_.push_back(std::move(entry.name));
    bytes_.push_back(entry.bytes);
    keys_.push_back(entry.key);
  }
}

bool is_archive(const std::string& path) {
  if (!fs::is_regular_file(path)) return false;
  char magic[4] = "";
  std::ifstream(path, std::ios::binary).read(magic, 4);
  return std::string_view(magic, 4) == "PK\3\4" || std::string_view(magic, 4) == "PK\5\6";
}

std::shared_ptr<const Files> open_files(const std::string& path,
                                        const std::function<bool(const std::string&)>& keep) {
  const std::string root = fs::absolute(path).lexically_normal().string();
  require_reachable(root);
  if (fs::is_directory(root))
    return std::make_shared<Folder>(root.ends_with('/') ? fs::path(root).parent_path().string() : root, keep);
  require(is_archive(root), Exit::data, "{}: expected a folder or a ZIP archive", root);
  return std::make_shared<Archive>(root, keep);
}

std::string stem_of(const std::string& name) {
  const size_t point = name.rfind('.'), slash = name.rfind('/');
  const bool none = point == std::string::npos || (slash != std::string::npos && point < slash);
  return none ? name : name.substr(0, point);
}

std::string base_of(const std::string& name) {
  return name.substr(name.rfind('/') + 1);
}

std::string readable(const std::string& text) {
  using nlohmann::json;
  return json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace)).get<std::string>();
}

}  // namespace saddle
