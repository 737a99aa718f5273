// Lines of a text file become sequences of tokens: one pass finds the vocabulary and the longest, another
// reads.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/pack/source.h"

namespace saddle {

struct Tokens {
  std::vector<std::string_view> list;
  const char* problem = nullptr;  // what is malformed; null: nothing
  size_t at = 0;                  // and at which byte
};

struct Sequences {
  // May rewrite the line (white space); the tokens, which are parts of it, give it back if concatenated.
  Tokens (*tokenize)(std::string& line) = nullptr;
  // Turns a line of the file, given its number from 1, into a sample's text; false if it is none.
  std::function<bool(int64_t number, std::string& line)> select = {};
  bool drop_longer = false;  // than --length; otherwise they are cut off
};

// Variable field `x`, int32 [up to T], `classes` and `class_names` the vocabulary: the reserved tokens, then
// by frequency, then bytewise. Malformed lines are samples that throw Exit::data with their place.
Source open_sequences(const PackRequest& request, const Sequences& how);

// Nothing but ASCII white space.
bool is_blank(std::string_view line);

}  // namespace saddle
