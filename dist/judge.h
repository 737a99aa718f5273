// The verdict on what the ranks of a job last said of themselves: which of them holds up the others, and
// where.
#pragma once

#include <string>
#include <vector>

#include "dist/flight.h"

namespace saddle {

// What rank 0 knows of one rank.
struct Watched {
  std::string name;    // "rank 3 (host)"
  flight::Sign sign;   // the last
  double silence = 0;  // seconds since then
};
// The verdict on what the ranks last said, empty while nothing is wrong: who is silent for `timeout` seconds,
// or holds up the others beyond its own limit, and where. By the record of collectives, the rank that entered
// the fewest is the one for which the others wait.
std::string judge(const std::vector<Watched>& ranks, double timeout);
// "rank 3 (host) has given no sign of life for 60 s: ..."; of one rank or more.
std::string silent(const std::vector<Watched>& ranks);

}  // namespace saddle
