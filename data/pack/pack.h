// Turns a source into folders of shards; `saddle pack` without its flags.
#pragma once

#include <string>
#include <vector>

#include "data/pack/source.h"
#include "data/store/index.h"
#include "dist/comm.h"

namespace saddle {

struct Packed {
  std::string folder = {};
  Index index = {};
  int64_t skipped = 0;   // damaged samples, with skip_bad
  int64_t resumed = 0;   // shards that an interrupted pack had left
  bool already = false;  // the folder held the same pack, nothing was done
};

// One line a kind of source, for help and errors.
std::string importer_help();
// What `request.source` is. Exit::usage lists the kinds that are known, or the flags this one does not heed.
Source open_source(const PackRequest& request);

// Collective: the ranks share the shards, each with `request.threads` decoding. The same request and source
// give the same bytes on any number of ranks. One data set, or two with `validation`. An interrupted pack
// goes on with the shards it had published; nothing looks like a data set before it is whole.
//
// A damaged sample is fatal, after all were looked at, unless skip_bad. Exit::usage if the folder holds
// something else; Exit::io if it cannot be written or the disk is too small. After an error the folder is as
// empty as before.
std::vector<Packed> pack(const PackRequest& request, const Comm& comm);
Packed pack(const PackRequest& request);  // by this process alone, into one data set

}  // namespace saddle
