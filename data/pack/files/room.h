// What a source may take in memory at a time. Packed files claim what they like, and a few bytes of them may
// become gigabytes: so what is needed is compared with --max-sample-mib before it is there.
#pragma once

#include <cstdint>
#include <string>

namespace saddle {

// Why there is no room for `bytes`, which `what` takes ("16384x16384 pixels"), where there is for `most`;
// empty if there is.
std::string lack_of_room(const std::string& what, double bytes, int64_t most);
// Exit::data unless there is.
void require_room(const std::string& where, const std::string& what, double bytes, int64_t most);

}  // namespace saddle
