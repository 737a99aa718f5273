// UTF-8 as RFC 3629 has it: overlong forms, surrogates and what lies beyond U+10FFFF are malformed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace saddle {

constexpr char32_t kMalformed = 0xFFFFFFFF;

// The code point at `at`, which moves behind it; kMalformed if there is none, and `at` stays.
char32_t next_code_point(std::string_view text, size_t& at);
// Each code point as its bytes within `text`, up to the end or the first malformed byte.
std::vector<std::string_view> code_points(std::string_view text);
void append_code_point(std::string& text, char32_t code);  // which must be one
bool is_utf8(std::string_view text);

// Any bytes as UTF-8, and back: a byte that is none becomes \xHH, and the backslash of a \x that was there
// \x5c. So JSON and TOML hold the path of every file.
std::string escape_bytes(std::string_view bytes);
std::string unescape_bytes(std::string_view text);

}  // namespace saddle
