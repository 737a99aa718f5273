// The audit of one shard by many threads: every sample against its checksum, and figures of those that are
// sound. The figures do not depend on the number of threads.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "data/check/tally.h"
#include "data/progress.h"
#include "data/store/shard.h"

namespace saddle {

// Of one field, over samples that are sound.
struct FieldFigures {
  Tally values;
  std::map<int64_t, int64_t> per_class =
      {};                // of fields with classes: how often each occurs, those that occur
  int64_t constant = 0;  // pictures, volumes, videos whose planes have one value each
  std::vector<int64_t> first_constant = {};  // the first such samples, numbered through the data set
  int64_t sequences = 0, steps = 0;          // of variable fields: samples, and their lengths together
  int64_t shortest = 0, longest = 0;

  void merge(const FieldFigures& later);
};

nlohmann::json to_json(const FieldFigures&);
FieldFigures figures_from_json(const nlohmann::json&);

struct ShardAudit {
  std::vector<FieldFigures> fields = {};   // as in the schema
  std::vector<std::string> problems = {};  // the first of them
  int64_t more = 0;                        // problems that are only counted
};

nlohmann::json to_json(const ShardAudit&);
ShardAudit shard_audit_from_json(const nlohmann::json&);

// `first` is the number of the shard's first sample in the data set. Faults are in `problems`, never thrown.
ShardAudit audit_shard(const std::string& path, const Schema& schema, const ShardInfo& info, int64_t first,
                       int threads, PassProgress& progress);

}  // namespace saddle
