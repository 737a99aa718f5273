// What `saddle check` found, as a page that needs no other file, and as JSON.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "data/check/audit.h"
#include "data/dataset.h"

namespace saddle {

std::string source_of(const Index& index);
// A field's row in a table: name, dtype, shape, min, max, mean, std, zeros, NaN, infinite, length.
using FieldText = std::array<std::string, 11>;
std::vector<FieldText> field_texts(const Audit& audit);
struct ClassCount {
  std::string number;  // of the class; empty: of several classes together
  std::string name;    // empty if it has none
  int64_t count;
  bool operator==(const ClassCount&) const = default;
};
// Of every class, or of the `most` commonest and all others together.
std::vector<ClassCount> class_counts(const Field& field, const FieldFigures& figures, size_t most);

// One checked folder. `data` is null if it is too damaged to show samples.
struct Checked {
  std::string folder;
  Audit audit;
  std::shared_ptr<Dataset> data;
};

nlohmann::json to_json(const Checked& checked);
std::string html_page(const std::vector<Checked>& all, uint64_t seed);

}  // namespace saddle
