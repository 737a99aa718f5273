#include "data/pack/texts/text_tokens.h"

#include <algorithm>
#include <array>
#include <utility>

#include "dist/utf8.h"

namespace saddle {
namespace {

constexpr const char* kNoUtf8 = "no UTF-8; convert the file, for example by iconv -t UTF-8";

using Span = std::pair<char32_t, char32_t>;

template <size_t N>
bool within(const std::array<Span, N>& spans, char32_t code) {
  const auto after = std::upper_bound(spans.begin(), spans.end(), code,
                                      [](char32_t c, const Span& span) { return c < span.first; });
  return after != spans.begin() && code <= std::prev(after)->second;
}

bool is_space(char32_t code) {  // Unicode's White_Space
  static constexpr std::array<Span, 10> kSpans{{{0x09, 0x0D},
                                                {0x20, 0x20},
                                                {0x85, 0x85},
                                                {0xA0, 0xA0},
                                                {0x1680, 0x1680},
                                                {0x2000, 0x200A},
                                                {0x2028, 0x2029},
                                                {0x202F, 0x202F},
                                                {0x205F, 0x205F},
                                                {0x3000, 0x3000}}};
  return within(kSpans, code);
}

// Punctuation and symbols of ASCII, Latin 1, the general blocks, CJK and full width, and emoji. Letters,
// marks and digits of all scripts are words.
bool is_mark(char32_t code) {
  static constexpr std::array<Span, 23> kSpans{
      {{0x21, 0x2F},     {0x3A, 0x40},     {0x5B, 0x5E},      {0x60, 0x60},     {0x7B, 0x7E},
       {0xA1, 0xA9},     {0xAB, 0xB1},     {0xB4, 0xB4},      {0xB6, 0xB8},     {0xBB, 0xBB},
       {0xBF, 0xBF},     {0xD7, 0xD7},     {0xF7, 0xF7},      {0x2010, 0x2027}, {0x2030, 0x205E},
       {0x20A0, 0x20CF}, {0x2190, 0x2BFF}, {0x3001, 0x3020},  {0xFF01, 0xFF0F}, {0xFF1A, 0xFF20},
       {0xFF3B, 0xFF40}, {0xFF5B, 0xFF65}, {0x1F000, 0x1FAFF}}};
  return within(kSpans, code);
}

bool is_apostrophe(char32_t code) {
  return code == '\'' || code == 0x2019;
}

bool is_word(char32_t code) {
  return code != kMalformed && !is_space(code) && !is_mark(code);
}

// Runs of white space become one space; the byte of malformed text, if there is any.
size_t normalize(std::string& line) {
  std::string out;
  bool gap = false;
  size_t at = 0;
  while (at < line.size()) {
    const size_t from = at;
    const char32_t code = next_code_point(line, at);
    if (code == kMalformed) return from;
    if (is_space(code)) {
      gap = true;
      continue;
    }
    if (gap && !out.empty()) out += ' ';
    gap = false;
    out.append(line, from, at - from);
  }
  line = std::move(out);
  return std::string::npos;
}

// Where the word or mark that begins at `at` ends. An apostrophe between letters belongs to the word.
size_t end_of_token(const std::string& line, size_t at) {
  const auto look = [&](size_t from) { return next_code_point(line, from); };
  if (!is_word(look(at))) {
    next_code_point(line, at);
    return at;
  }
  while (at < line.size()) {
    size_t after = at;
    const char32_t code = next_code_point(line, after);
    const bool inside = is_word(code) || (is_apostrophe(code) && is_word(look(after)));
    if (!inside) break;
    at = after;
  }
  return at;
}

}  // namespace

Tokens char_tokens(std::string& line) {
  Tokens out{.list = code_points(line)};
  for (const std::string_view each : out.list) out.at += each.size();
  if (out.at < line.size()) out.problem = kNoUtf8;
  return out;
}

Tokens word_tokens(std::string& line) {
  Tokens out;
  if (out.at = normalize(line); out.at != std::string::npos) {
    out.problem = kNoUtf8;
    return out;
  }
  for (size_t at = 0; at < line.size();) {
    const size_t end = end_of_token(line, line[at] == ' ' ? at + 1 : at);
    out.list.push_back(std::string_view(line).substr(at, end - at));
    at = end;
  }
  return out;
}

}  // namespace saddle
