// A node's own copy of a data set: shards are copied to a local disk before training, by the ranks of the
// node together, and what an earlier job copied is used again.
#pragma once

#include <string>

#include "dist/comm.h"

namespace saddle {

// Collective. Copies the data set in `folder` to `to`/<fingerprint> on every host and returns that folder.
// A copy gets its name only once its size, its digest and every checksum are right. With `skip_bad` a shard
// that is missing or damaged is left out, for open_shards to report. Exit::io, on all ranks, names the path
// if there is no room or a copy fails; Exit::data if a shard is damaged.
std::string stage(const Comm& comm, const std::string& folder, const std::string& to, bool skip_bad);

}  // namespace saddle
