// Data sets made of others: parts of them, windows over them, other names, a copy in memory. Their
// fingerprints tell what was done to the original.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/dataset.h"

namespace saddle {

// Sample i is sample indices[i] of `data`. Exit::usage for indices outside it.
std::shared_ptr<Dataset> subset(std::shared_ptr<Dataset> data, std::vector<int64_t> indices);

// Fields by other names: {from, to}. Exit::usage for a field that is not there or a name taken twice.
std::shared_ptr<Dataset> renamed(std::shared_ptr<Dataset> data,
                                 const std::vector<std::pair<std::string, std::string>>& names);

// `length` consecutive samples as one: sample i begins at sample i * stride of `data`. Every field but
// `sequence` gains a first extent of `length`. A window never spans two values of the int64 [] field
// `sequence`, if there is one; that is then read once, for every sample: 8 bytes a window. Not for variable
// fields; those are cut by `clip` (transforms.h).
std::shared_ptr<Dataset> windows(std::shared_ptr<Dataset> data, int64_t length, int64_t stride);

// `count` grey pictures of the field `image` as the channels of one (Metz et al. 2017, "Unrolled GANs",
// section 3.3.1), drawn without regard to one another: 32 times as many samples. Where there are labels of K
// classes, that of a sample is theirs as the digits of a number to the base K. Other fields are left out.
// Exit::usage if the pictures have more channels than one.
std::shared_ptr<Dataset> stacked(std::shared_ptr<Dataset> data, int64_t count);

// With the field "id" [], int64: a sample's number. Exit::usage if there is one already.
std::shared_ptr<Dataset> numbered(std::shared_ptr<Dataset> data);

// Of each class of the field `label` only `per_class` samples keep their label, chosen by the seed, 0: all;
// the others' becomes -1; provenance tells in "known_labels" how many are left. A share `wrong` of the
// labels that are kept is another class's, by the seed too. Labels are read once, by `threads` threads.
std::shared_ptr<Dataset> few_labels(std::shared_ptr<Dataset> data, const std::string& label,
                                    int64_t per_class, double wrong, uint64_t seed, int threads);

// All of it in memory, read once by `threads` threads and so verified. Exit::usage if it needs more than
// `most` bytes.
std::shared_ptr<Dataset> cached(std::shared_ptr<Dataset> data, int threads, int64_t most);

}  // namespace saddle
