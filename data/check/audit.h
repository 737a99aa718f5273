// What `saddle check` knows of a folder of shards: every byte against its checksum, and figures of what the
// samples hold.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "data/check/audit_shard.h"
#include "data/store/index.h"
#include "dist/comm.h"

namespace saddle {

// Samples that repeat an earlier one, told by the 64-bit checksum of one field.
struct Copies {
  std::string field = {};                               // empty: none was compared
  int64_t count = 0;                                    // of the samples that repeat
  std::vector<std::pair<int64_t, int64_t>> first = {};  // {the earliest like it, sample}
};

struct Audit {
  Index index;
  std::vector<std::string> problems = {};  // each names file, field and sample
  std::vector<std::string> notes = {};     // what is odd, but no fault
  std::vector<FieldFigures> fields = {};   // as in the schema
  Copies copies = {};
  int64_t bytes = 0;  // of all shards
  double seconds = 0;
};

// Collective; the same result on all ranks, and on any number of them. Rank r reads the shards s with s %
// size
// == r, on `threads` threads; `show` lets rank 0 print how far it is. Rank 0 holds 16 bytes a sample to find
// copies; every thread holds 4 MiB or one sample. Exit::data if there is no index.
Audit audit(const std::string& folder, const Comm& comm = World::alone(), int threads = 1, bool show = false);

// Collective. How many samples of the second data set are also in the first, as `copies.field` tells them:
// what leaked from training into validation. Rank 0 holds 8 bytes a sample of both. 0 if they have no such
// field.
int64_t shared_samples(const std::string& folder, const std::string& other, const Comm& comm);

}  // namespace saddle
