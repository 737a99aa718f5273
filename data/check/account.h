// What a pack said of itself when it was made, as rows for people: the end of `saddle pack`, and `saddle
// check`.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/store/index.h"

namespace saddle {

using AccountRow = std::pair<std::string, std::string>;  // what, and its value

// Notes that begin so are rows of what was left out.
inline constexpr std::string_view kLeftOutNote = "left out: ";

// Who read the source and why, what was left out by ending and reason, and notes: from the provenance. None
// of a set that was written before packs said so.
std::vector<AccountRow> account_rows(const Index& index);
// The classes of every label: "3 of label: 0 cat, 1 dog, 2 emu", the first few of many.
std::vector<AccountRow> class_rows(const Schema& schema);

}  // namespace saddle
