// The data of a run as its options say: one data set, or several unpaired ones side by side; staged, cached,
// in order, transformed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/feed/feed.h"
#include "launch/run/train_options.h"

namespace saddle {

struct NamedFolder {
  std::string name = {};  // empty: the only one, whose fields keep their names
  std::string folder;
};
// "DIR", or "a=DIR,b=DIR", bytes that are no UTF-8 as escape_bytes writes them; what exists as a path is one,
// whatever its name. Exit::usage for a name that occurs twice.
std::vector<NamedFolder> parse_data(const std::string& text);
// What --data gave, once or several times, as one such text with absolute paths.
std::string data_text(const std::vector<std::string>& flags);

// "3x64x64". Exit::usage, naming the flag, for what is none.
std::vector<int64_t> parse_shape(const std::string& text, const std::string& flag);

bool has_data(const std::string& text);  // all folders hold data sets
ReadOptions read_options(const TrainOptions& options);
// As one data set, in no order.
std::shared_ptr<Dataset> open_data(const std::string& text, const ReadOptions& options = {});

// What the options make of a data set for every purpose: data.frames, data.stack.
std::shared_ptr<Dataset> shaped(std::shared_ptr<Dataset> data, const TrainOptions& options);
// The share of such a data set that is kept from training; nothing if data.held_out is 0.
std::shared_ptr<Dataset> held_out(std::shared_ptr<Dataset> data, const TrainOptions& options);
// The others.
std::shared_ptr<Dataset> not_held_out(std::shared_ptr<Dataset> data, const TrainOptions& options);
// Of those what is trained on: data.subset.
std::shared_ptr<Dataset> trained_on(std::shared_ptr<Dataset> data, const TrainOptions& options);

// The folder `validation` beside the data set `train`, as `saddle pack --validation` makes it; nothing if
// there is none. One with other fields or classes is warned of, and nothing too. `folder` is
// TrainOptions::data.
std::shared_ptr<Dataset> validation_beside(const std::string& folder, const Schema& schema);

// How many of a run's samples have a label that may be learned: all that data.labels leaves.
int64_t known_labels(const Dataset& data);

// A data set as it is trained on, in the order and with the transforms of the options. Feeds of other names
// are in other orders.
Feed feed(std::shared_ptr<Dataset> data, const TrainOptions& options, const std::string& name = "");
// Collective. All that the run trains on, staged and cached if so wished. Ranks that find other content or
// other damage are named in an error.
std::vector<Feed> open_feeds(const Comm& host, const TrainOptions& options);

}  // namespace saddle
