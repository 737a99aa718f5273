// UTF-8 as RFC 3629 has it: overlong forms, surrogates and what lies beyond U+10FFFF are malformed.
#pragma once

#include <string_view>
#include <vector>

namespace saddle {

constexpr char32_t kMalformed = 0xFFFFFFFF;

// The code point at `at`, which moves behind it; kMalformed if there is none, and `at` stays.
char32_t next_code_point(std::string_view text, size_t& at);
// Each code point as its bytes within `text`, up to the end or the first malformed byte.
std::vector<std::string_view> code_points(std::string_view text);

}  // namespace saddle
