// Where a run is kept: a folder that every rank can write to, see each other's files in, and that has room;
// and whether HDF5 minds locks. `check_` asks all ranks (collective); the judgements are pure.
#pragma once

#include "launch/doctor/report.h"

namespace saddle::doctor {

// What the checkpoints of a run will take; zeros if unknown.
struct Needed {
  int64_t bytes = 0, files = 0;
};

// Tries everything in a folder of its own beneath `out`, and leaves nothing behind. `limit`: seconds for each
// question to the file system.
Lines check_run_folder(const Comm& comm, const std::string& out, Needed needed, double limit);
// In a temporary folder: a shard that another process has locked, read as training does.
Lines check_locks(const Comm& comm, double limit);

struct FileSystem {
  std::string type;  // "ext4", "nfs", "tmpfs"
  bool read_only = false;
  double free = 0;    // bytes
  double inodes = 0;  // free; 0 where the file system does not count them
  bool counts_inodes = false;
};
Verdict verdict_on_room(const FileSystem& fs, Needed needed);

}  // namespace saddle::doctor
