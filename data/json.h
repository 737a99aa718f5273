// JSON from files of others: what nlohmann's library leaves to its callers.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "dist/error.h"

namespace saddle {

// Whether a text is nested deeper than any of ours. Values are parsed at any depth, but copied and printed by
// functions that call themselves once a level, until the stack is full.
inline bool is_deep(std::string_view text) {
  constexpr int kDeepest = 64;
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') quoted = !quoted;
    if (quoted && c == '\\') ++i;
    if (quoted) continue;
    if ((c == '[' || c == '{') && ++depth > kDeepest) return true;
    if (c == ']' || c == '}') --depth;
  }
  return false;
}

// Conversions take 1e300 for an integer too, with undefined results. Exit::data if it is none.
inline int64_t integer(const nlohmann::json& value) {
  if (!value.is_number_integer())
    fail(Exit::data, "malformed: expected an integer, found {}",
         value.is_number() ? value.dump() : value.type_name());
  return value.get<int64_t>();
}

}  // namespace saddle
