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
// As it is, or taken for Latin-1 if it is not UTF-8: JSON, and so a schema, knows nothing else.
std::string to_utf8(std::string_view text);

// Any bytes as UTF-8, and back: a byte that is none becomes \xHH, and the backslash of a \x that was there
// \x5c. So JSON and TOML hold the path of every file.
std::string escape_bytes(std::string_view bytes);
std::string unescape_bytes(std::string_view text);

// Text of others, as a terminal or a log may show it: what would move the cursor, end the line or turn the
// direction of what follows (control characters, separators of lines, marks of bidirectional text) is written
// out as \x1b or \u202e, and so is a byte that is no UTF-8. Once or twice is the same.
std::string printable(std::string_view text);
// Of our own sentences, which may hold others' words: a line break stays where two blanks follow, as we
// indent our lists, so that nothing else begins a line.
std::string printable_lines(std::string_view text);
// Of JSON, whose texts have no control characters below DEL: the same JSON.
std::string printable_json(std::string_view dumped);

}  // namespace saddle
