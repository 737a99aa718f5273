// Turns a source into a folder of shards; `saddle pack` without its flags.
#pragma once

#include <string>

#include "data/index.h"
#include "data/pack/source.h"

namespace saddle {

struct Packed {
  Index index;
  int64_t skipped = 0;   // damaged samples, with skip_bad
  bool already = false;  // the folder held the same pack, nothing was done
};

// One line a kind of source, for help and errors.
std::string importer_help();
// What `request.source` is. Exit::usage lists the kinds that are known.
Source open_source(const PackRequest& request);
// The same request and source give the same bytes. A damaged sample is fatal, after all were looked at,
// unless skip_bad. Exit::usage if the folder holds something else; Exit::io if it cannot be written or the
// disk is too small.
Packed pack(const PackRequest& request);

}  // namespace saddle
