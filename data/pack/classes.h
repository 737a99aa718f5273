// Which classes there are and what their numbers are: as --classes FILE says, so that several packs (train
// and test) agree, or else as the source shows.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "data/pack/source.h"

namespace saddle {

// The names in a file, one a line, that of class 0 first. Exit::data names a line that is empty or repeats a
// name.
std::vector<std::string> read_class_names(const std::string& path);

// The names of a source's classes, by number: of --classes, or else `used` and `unused` sorted. `used` are
// those of its samples; Exit::data names those that --classes lacks. What is no class of any sample keeps its
// number, and goes into `notes`.
std::vector<std::string> class_names(const PackRequest& request, const std::vector<std::string>& used,
                                     std::vector<std::string>& notes,
                                     const std::vector<std::string>& unused = {});

// Adds which of `names`, numbered in order, are not in `used`.
void note_unused(const std::vector<std::string>& names, const std::set<std::string>& used,
                 std::vector<std::string>& notes);

// Where labels are numbers: --classes names them, and fixes how many there are. Exit::data if there are more.
// Notes the numbers that no sample has.
void name_classes(Source& source, const PackRequest& request);

}  // namespace saddle
