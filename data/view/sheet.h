// What a data set looks like: contact sheets of whatever its fields show, for eyes that look for what no
// checksum tells.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"

namespace saddle {

// One row of a sheet, or all of it where there are no classes.
struct Strip {
  std::string caption;    // the class, or ""
  torch::Tensor picture;  // uint8 [3, H, W]
};

// Samples spread evenly over the data set (sources are often sorted by class): where there are labels, up to
// 8 of each class, class by class, of rare classes as many as a bounded search finds. `seed` chooses among
// them.
struct Choice {
  std::string caption;
  std::vector<int64_t> samples;
};
std::vector<Choice> choose_samples(const Dataset& data, int64_t samples, uint64_t seed);

// Pictures, label maps, volumes and videos side by side, one cell a sample, small ones enlarged and large
// ones reduced. A volume is its three middle slices, a video a strip of frames, a label map is in false
// colours.
std::vector<Strip> picture_strips(const Dataset& data, const std::vector<Choice>& choice,
                                  const std::vector<std::string>& fields);
// Of points the first two dimensions, coloured by class where there are labels; of numbers a histogram.
std::vector<Strip> figure_strips(const Dataset& data, const std::string& field, uint64_t seed);
// Of token sequences, a line each: the field's class names are its vocabulary.
std::vector<std::string> text_lines(const Dataset& data, const std::vector<Choice>& choice,
                                    const std::string& field);

// All of it that can be drawn, under one another: uint8 [3, H, W]. Exit::usage if that is nothing.
torch::Tensor contact_sheet(const Dataset& data, int64_t samples, uint64_t seed);

}  // namespace saddle
