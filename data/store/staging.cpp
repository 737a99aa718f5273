#include "data/store/staging.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "data/store/shard.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/log.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

// Whole and of this data set, as far as its header tells.
bool is_staged(const std::string& path, const Schema& schema, const ShardInfo& info) {
  try {
    const Shard shard(path, schema, info);
    return true;
  } catch (const Error&) {
    return false;
  }
}

void copy_bytes(const std::string& from, const std::string& to) {
  const struct Closed {
    int descriptor;
    ~Closed() { close(descriptor); }
  } closed{open_to_read(from)};
  const int in = closed.descriptor;
  OutputFile out(to);
  std::vector<char> piece(size_t{4} << 20);
  for (;;) {
    const ssize_t got = read(in, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    require(got >= 0, Exit::data, "{}: cannot read: {}", from, std::strerror(errno));
    if (got == 0) break;
    out.write(piece.data(), got);
  }
  out.close();
}

void copy_shard(const std::string& from, const std::string& to, const Schema& schema, const ShardInfo& info) {
  const std::string draft = fmt::format("{}.tmp.{}", to, getpid());
  try {
    copy_bytes(from, draft);
    verify_shard(draft, schema, info);
    fs::rename(draft, to);
  } catch (...) {
    std::error_code ignored;
    fs::remove(draft, ignored);
    throw;
  }
}

void require_room(const std::string& folder, int64_t bytes) {
  struct statvfs status {};
  require(statvfs(folder.c_str(), &status) == 0, Exit::io, "{}: cannot ask for free space: {}", folder,
          std::strerror(errno));
  const double room = double(status.f_bavail) * double(status.f_frsize);
  require(
      room >= double(bytes), Exit::io,
      "{}: no room for the data set: {:.1f} MiB are missing there, {:.1f} MiB are free; free some, choose "
      "another --stage, or train without",
      folder, double(bytes) / (1 << 20), room / (1 << 20));
}

std::string in(const std::string& folder, const std::string& file) {
  return (fs::path(folder) / file).string();
}

std::vector<ShardInfo> missing(const Index& index, const std::string& folder) {
  std::vector<ShardInfo> out;
  for (const ShardInfo& info : index.shards)
    if (!is_staged(in(folder, info.file), index.schema, info)) out.push_back(info);
  return out;
}

}  // namespace

std::string stage(const Comm& comm, const std::string& folder, const std::string& to, bool skip_bad) {
  Index index;
  std::string copy;
  std::vector<ShardInfo> todo;
  comm.together([&] {
    index = read_index(folder);
    copy = in(to, index.fingerprint);
    std::error_code error;
    fs::create_directories(copy, error);
    require(!error, Exit::io, "{}: cannot make the folder to stage to: {}", copy, error.message());
    todo = missing(index, copy);
    int64_t bytes = 0;
    for (const ShardInfo& info : todo) bytes += info.bytes;
    require_room(copy, bytes);
  });
  comm.together(
      [&] {
        for (size_t i = size_t(comm.local_rank()); i < todo.size(); i += size_t(comm.local_size())) try {
            copy_shard(in(folder, todo[i].file), in(copy, todo[i].file), index.schema, todo[i]);
          } catch (const Error& error) {
            if (!skip_bad || error.kind != Exit::data) throw;
            log::warn("not staged: {}", error.what());
          }
      },
      "stage");
  comm.together([&] {
    if (comm.local_rank() != 0) return;
    write_file(in(copy, kIndexFile), read_file(in(folder, kIndexFile)));  // last: now it is a data set
  });
  return copy;
}

}  // namespace saddle
