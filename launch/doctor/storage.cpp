#include "launch/doctor/storage.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <thread>

#include "data/checksum.h"
#include "data/store/shard_file.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/trace.h"
#include "launch/run/run_lock.h"

namespace saddle::doctor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string type_of(const std::string& path) {
  static const std::map<uint64_t, const char*> kTypes = {
      {0xef53, "ext4"},        {0x58465342, "xfs"},      {0x9123683e, "btrfs"},  {0x2fc12fc1, "zfs"},
      {0x794c7630, "overlay"}, {0x01021994, "tmpfs"},    {0x858458f6, "ramfs"},  {0x6969, "nfs"},
      {0x0bd00bd0, "lustre"},  {0x47504653, "gpfs"},     {0x19830326, "beegfs"}, {0x00c36400, "ceph"},
      {0xfe534d42, "smb"},     {0xff534d42, "cifs"},     {0x65735546, "fuse"},   {0x9fa0, "proc"},
      {0x62656572, "sysfs"},   {0x73717368, "squashfs"}, {0x4d44, "vfat"},       {0x2011bab0, "exfat"},
      {0x01021997, "9p"}};
  struct statfs status {};
  require(statfs(path.c_str(), &status) == 0, Exit::io, "cannot look at '{}': {}", path,
          std::strerror(errno));
  const auto known = kTypes.find(uint32_t(status.f_type));
  return known == kTypes.end() ? fmt::format("type {:#x}", uint32_t(status.f_type)) : known->second;
}

FileSystem file_system(const std::string& path) {
  struct statvfs status {};
  require(statvfs(path.c_str(), &status) == 0, Exit::io, "cannot look at '{}': {}", path,
          std::strerror(errno));
  return {.type = type_of(path),
          .read_only = (status.f_flag & ST_RDONLY) != 0,
          .free = double(status.f_bavail) * double(status.f_frsize),
          .inodes = double(status.f_favail),
          .counts_inodes = status.f_files > 0};
}

json to_json(const FileSystem& f) {
  return {{"type", f.type},
          {"read_only", f.read_only},
          {"free", f.free},
          {"inodes", f.inodes},
          {"counts_inodes", f.counts_inodes}};
}

FileSystem file_system_of(const json& j) {
  return {.type = j.at("type"),
          .read_only = j.at("read_only"),
          .free = j.at("free"),
          .inodes = j.at("inodes"),
          .counts_inodes = j.at("counts_inodes")};
}

// The folder itself, or the nearest one above it that exists.
std::string existing(fs::path path) {
  std::error_code none;
  while (!fs::exists(path, none) && path.has_relative_path()) path = path.parent_path();
  return path.empty() ? "." : path.string();
}

// Removes what the doctor made: the probe's folder, and those above it that were not there before.
void clean(const std::string& probe, const std::string& before) {
  std::error_code none;
  fs::remove_all(probe, none);
  for (fs::path folder = fs::path(probe).parent_path(); folder != before && fs::is_empty(folder, none);
       folder = folder.parent_path())
    if (!fs::remove(folder, none)) break;
}

void wait_for(const std::string& file) {
  constexpr double kPatience = 5;  // caches of network file systems last a few seconds
  const double begin = trace::now();
  while (access(file.c_str(), R_OK) != 0) {
    require(trace::now() - begin < kPatience, Exit::io,
            "does not see what rank 0 wrote {:.0f} s ago; --out must be on a file system that all hosts "
            "share (NFS, Lustre): every rank writes its part of a checkpoint there",
            kPatience);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

// What a checkpoint does: write, sync, rename, sync the folder, read back. MB/s of the synced write.
double write_and_read(const std::string& file, int64_t bytes) {
  const std::string content(size_t(bytes), char('a' + bytes % 7));
  const double begin = trace::now();
  write_file(file, content);
  const double rate = double(bytes) / (trace::now() - begin) / 1e6;
  require(read_file(file) == content, Exit::io,
          "'{}' does not read back as it was written; do not trust this file system", file);
  return rate;
}

Verdict verdict_on_writing(const Answers& answers) {
  std::vector<double> rates;
  for (const Answer& a : answers) rates.push_back(a.facts);
  const auto [least, most] = std::minmax_element(rates.begin(), rates.end());
  const std::string range =
      *least == *most ? fmt::format("{:.0f}", *least) : fmt::format("{:.0f} to {:.0f}", *least, *most);
  return {Status::ok, fmt::format("{}write, sync, rename and read back work; {} MB/s a rank",
                                  rates.size() > 1 ? "every rank sees rank 0's files; " : "", range)};
}

std::string unique() {
  return fmt::format("{:08x}", std::random_device{}());
}

}  // namespace

Verdict verdict_on_room(const FileSystem& f, Needed needed) {
  const std::string found = fmt::format(
      "{} and {} on {}{}", text_of_bytes(f.free) + " free",
      f.counts_inodes ? fmt::format("{:.0f} files", f.inodes) : "any number of files", f.type,
      needed.bytes > 0 ? fmt::format("; the checkpoints kept take {}", text_of_bytes(double(needed.bytes)))
                       : "");
  if (f.read_only)
    return {Status::failure, "mounted read-only: " + found,
            "choose an --out on a file system that can be written"};
  if (f.free < double(needed.bytes))
    return {Status::failure, found,
            "free some space, choose another --out, or keep fewer: --set checkpoint.keep=1, a larger "
            "checkpoint.milestones"};
  if (f.counts_inodes && f.inodes < double(needed.files))
    return {Status::failure, found, "free some inodes (many small files), or choose another --out"};
  if (f.type == "tmpfs" || f.type == "ramfs")
    return {Status::warning, found,
            "it is memory: all is lost at reboot, and it counts against the job's memory; choose an --out on "
            "a disk"};
  if (f.free < double(1 << 30))
    return {Status::warning, found,
            "little is left for logs and pictures; free some space or choose another --out"};
  return {Status::ok, found};
}

Lines check_run_folder(const Comm& comm, const std::string& out, Needed needed, double limit) {
  constexpr const char* kAdvice =
      "choose an --out that can be written: look at its permissions, quota and mount";
  const std::string folder = fs::absolute(out).lexically_normal().string();
  const std::string probe = folder + "/.doctor-" + comm.broadcast_text(unique()), before = existing(folder);
  const bool speaks = comm.rank() == 0;
  const Answers made = ask(comm, "run folder", limit, [=]() -> json {
    if (!speaks) return {};
    const FileSystem found = file_system(before);
    require(!found.read_only, Exit::io,
            "'{}' is mounted read-only; choose an --out on a file system that can be written", before);
    std::error_code error;
    fs::create_directories(probe, error);
    require(!error, Exit::io, "cannot make a folder in '{}': {}", folder, error.message());
    write_file(probe + "/token", "rank 0 was here\n");
    json facts = to_json(found);
    facts["hard_links"] = has_hard_links(probe);
    return facts;
  });
  Lines lines = errors("run folder", made, kAdvice);
  if (lines.empty()) {
    lines.push_back({"space", verdict_on_room(file_system_of(made[0].facts), needed)});
    lines.push_back(
        {"run lock",
         {Status::ok, made[0].facts.at("hard_links")
                          ? "made by a hard link"
                          : fmt::format("{} has no hard links here: made exclusively, and read back",
                                        made[0].facts.at("type").get<std::string>())}});
    const int64_t bytes = (int64_t{8} << 20) / std::min(8, comm.local_size());
    const Answers written = ask(comm, "run folder", limit, [=, rank = comm.rank()]() -> json {
      wait_for(probe + "/token");
      return write_and_read(fmt::format("{}/rank-{}", probe, rank), bytes);
    });
    const Lines writing = all("run folder", written, kAdvice, verdict_on_writing);
    lines.insert(lines.begin(), writing.begin(), writing.end());
  }
  ask(comm, "run folder", limit, [=]() -> json {
    if (speaks) clean(probe, before);
    return {};
  });
  return lines;
}

Lines check_locks(const Comm& comm, double limit) {
  const char* setting = std::getenv("HDF5_USE_FILE_LOCKING");
  const std::string variable =
      setting ? fmt::format("HDF5_USE_FILE_LOCKING={}", setting) : "HDF5_USE_FILE_LOCKING is not set";
  const Answers answers = ask(comm, "HDF5 locks", limit, [=]() -> json {
    const std::string folder = fs::temp_directory_path().string() + "/saddle-doctor-" + unique();
    struct Folder {
      std::string path;
      explicit Folder(std::string p) : path(std::move(p)) { fs::create_directories(path); }
      ~Folder() {
        std::error_code none;
        fs::remove_all(path, none);
      }
    } const place(folder);
    const std::string file = folder + "/" + shard_name(0);
    const Schema schema{{{.name = "x", .shape = {1}, .class_names = {}}}};
    std::vector<Column> columns{{.data = std::vector<char>(sizeof(float))}};
    columns[0].checksums.push_back(checksum(columns[0].data.data(), columns[0].data.size()));
    write_shard(file, schema, columns);
    const int foreign = open(file.c_str(), O_RDWR | O_CLOEXEC);
    const bool locked = foreign >= 0 && flock(foreign, LOCK_EX | LOCK_NB) == 0;
    bool reads = true;
    try {
      read_header(file, schema);
    } catch (const Error&) {
      reads = false;
    }
    if (foreign >= 0) close(foreign);
    return {{"locked", locked}, {"reads", reads}, {"variable", variable}};
  });
  return each(
      "HDF5 locks", answers, "set TMPDIR to a folder that can be written", [](const json& facts) -> Verdict {
        const std::string variable = facts.at("variable");
        if (facts.at("reads"))
          return {Status::ok, fmt::format("shards open {}; {}",
                                          facts.at("locked") ? "also while another program locks them"
                                                             : "(no locks on this file system)",
                                          variable)};
        return {Status::warning, "HDF5 does not open a shard that another program has locked; " + variable,
                "unset HDF5_USE_FILE_LOCKING, or set it to FALSE: `saddle check` and data sets of format 1 "
                "need HDF5, and network file systems often have no locks"};
      });
}

}  // namespace saddle::doctor
