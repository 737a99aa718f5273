// Names of another program's tensors in terms of ours.
#pragma once

#include <string>
#include <vector>

#include "dist/tensor.h"

namespace saddle {

// Where a tensor of theirs goes, and how it is brought into our layout.
struct Placement {
  std::string name;        // ours; empty: it is left out
  bool flatten = false;    // all extents after the first become one
  bool transpose = false;  // then the first two are exchanged

  torch::Tensor apply(const torch::Tensor& theirs) const;
};

// Lines "theirs" = "ours [flatten] [transpose]" of TOML, or "theirs=ours" one by one. Each `*` of theirs
// stands for any text, and in order for a `*` of ours; "" leaves a tensor out. The line without `*`, else
// that with the most other characters decides; a name without a line keeps its name.
class NameMap {
 public:
  // `texts` are paths of TOML files, or "theirs=ours". Exit::usage for a line that means nothing.
  explicit NameMap(const std::vector<std::string>& texts);
  Placement of(const std::string& theirs) const;

 private:
  struct Rule {
    std::string theirs;
    Placement ours;
  };
  void add(const std::string& theirs, const std::string& ours);
  std::vector<Rule> rules_;
};

}  // namespace saddle
