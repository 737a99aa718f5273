// What registry-wide tests train of each system: small nets, and data that suit it.
#pragma once

#include "models/system.h"
#include "tests/support/images.h"

namespace saddle::test {

inline std::vector<std::string> tiny_sets(const std::string& system, const std::vector<std::string>& more) {
  std::vector<std::string> sets = system_entry(system).tiny;
  sets.insert(sets.end(), more.begin(), more.end());
  return sets;
}

// Some 50 samples: images with labels, unless the system wants others.
inline std::shared_ptr<Dataset> tiny_data(const std::string& system, int64_t count = 50) {
  const SystemEntry& entry = system_entry(system);
  return entry.tiny_data ? entry.tiny_data() : images(count);
}

// Of points, which a system that is for images only refuses.
inline bool takes_points(const std::string& system) {
  return system_entry(system).modality.find("points") != std::string::npos;
}

}  // namespace saddle::test
