#include "data/pack/files/room.h"

#include <cmath>

#include "dist/error.h"

namespace saddle {

std::string lack_of_room(const std::string& what, double bytes, int64_t most) {
  if (bytes <= double(most)) return "";
  const double mib = std::ceil(bytes / (1 << 20));
  return fmt::format(
      "expected at most {} MiB in memory at a time, found {}, {:.0f} MiB; if that is meant, pass "
      "--max-sample-mib {:.0f}",
      most >> 20, what, mib, mib);
}

void require_room(const std::string& where, const std::string& what, double bytes, int64_t most) {
  if (const std::string lack = lack_of_room(what, bytes, most); !lack.empty())
    fail(Exit::data, "{}: {}", where, lack);
}

}  // namespace saddle
