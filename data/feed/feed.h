// What a loader reads from: a data set and the order of its samples. Several feeds, each in its own order,
// make one batch: unpaired domains.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/feed/sampler.h"
#include "data/feed/transforms.h"

namespace saddle {

struct Feed {
  std::shared_ptr<Dataset> data;
  Order order;
  std::vector<Transform> transforms = {};  // one after another

  Schema schema() const;  // of what comes out
};

// The data set with its fields named after the feed: `image` becomes `name`, any other `name_<field>`.
std::shared_ptr<Dataset> named(const std::string& name, std::shared_ptr<Dataset> data);

// All fields, feed by feed. Exit::usage if two feeds have a field of one name.
Schema schema_of(const std::vector<Feed>& feeds);

// The feeds as one data set, for whoever needs no order: as large as the largest, sample i of each feed
// modulo its size. Its fingerprint is made of theirs; that of one feed is its own.
std::shared_ptr<Dataset> side_by_side(const std::vector<Feed>& feeds);

}  // namespace saddle
