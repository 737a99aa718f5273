// Which samples of a source are packed, and where to: subsets and the split into training and validation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/pack/source.h"

namespace saddle {

struct Selection {
  std::string folder = {};       // in the output folder; empty: itself
  std::vector<int64_t> samples;  // of the source, ascending; empty: all
};

// "25%" of 0.25; "25%" as it is. Exit::usage for what is no share, or may be a share or a number (20).
std::string percentage(const char* flag, const std::string& text);

// `samples` takes so many evenly spread, since sources are often sorted by class. `subset` and `validation`
// take their share of every class, or of the whole where there are no classes, chosen by `seed`. Exit::usage
// for a share that is no percentage, or leaves a part empty.
std::vector<Selection> select(const PackRequest& request, const Source& source);

}  // namespace saddle
