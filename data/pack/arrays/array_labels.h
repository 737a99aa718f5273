// Labels of arrays: what may be some though it is no array of integers, and the classes that they make.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/pack/arrays/array_fields.h"

namespace saddle {

// Whether an array of this name, in whatever group or part, is taken for labels.
bool is_label_name(const std::string& name);
// The names that labels have, most telling first.
const std::vector<std::string>& label_names();

// Classes by their names, one a sample, numbered in order: of numbers if all are, else bytewise.
Array text_labels(const std::string& name, const std::string& where, const std::vector<std::string>& texts);

// Labels that are numbered already; `names` of the classes 0, 1, ...
Array numbered_labels(const std::string& name, const std::string& where, std::vector<int32_t> labels,
                      std::vector<std::string> names);

// The labels that numbers stand for: whole ones [N] from 0 on, or vectors [N, C] of zeros and one 1. Nothing
// of others. What was made of them goes into `notes`.
std::optional<Array> as_labels(const Array& array, std::vector<std::string>& notes);

// Exit::data if every sample has a class of its own.
ArrayField label_field_of(const ArrayColumn& column, const PackRequest& request,
                          std::vector<std::string>& notes);

}  // namespace saddle
