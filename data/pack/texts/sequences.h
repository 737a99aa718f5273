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

// The next sample's text and the line where it stands; false at the end.
using NextText = std::function<bool(std::string& text, int64_t& line)>;

struct Sequences {
  // May rewrite the line (white space); the tokens, which are parts of it, give it back if concatenated.
  Tokens (*tokenize)(std::string& line) = nullptr;
  std::function<NextText(const std::string& path)> open;  // from the file's beginning
  bool drop_longer = false;                               // than --length; otherwise they are cut off
};

NextText lines_of(const std::string& path);  // all, without their ends

// Variable field `x`, int32 [up to T], `classes` and `class_names` the vocabulary: the reserved tokens, then
// by frequency, then bytewise. Malformed lines are samples that throw Exit::data with their place.
Source open_sequences(const PackRequest& request, const Sequences& how);

// Nothing but ASCII white space.
bool is_blank(std::string_view line);

}  // namespace saddle
