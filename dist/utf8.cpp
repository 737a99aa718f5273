#include "dist/utf8.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>

namespace saddle {
namespace {

struct Lead {
  size_t bytes;       // of the whole sequence
  char32_t value;     // the lead's own bits
  char32_t smallest;  // below it, a shorter sequence would have done
};

Lead lead_of(uint8_t byte) {
  if (byte < 0x80) return {.bytes = 1, .value = byte, .smallest = 0};
  if (byte < 0xC0) return {};
  if (byte < 0xE0) return {.bytes = 2, .value = byte & 0x1FU, .smallest = 0x80};
  if (byte < 0xF0) return {.bytes = 3, .value = byte & 0x0FU, .smallest = 0x800};
  if (byte < 0xF8) return {.bytes = 4, .value = byte & 0x07U, .smallest = 0x10000};
  return {};
}

// Marks, embeddings, overrides and isolates of bidirectional text.
bool turns(char32_t code) {
  return code == 0x61C || code == 0x200E || code == 0x200F || (code >= 0x202A && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069);
}

bool acts(char32_t code) {
  const bool control = code < 0x20 || (code >= 0x7F && code < 0xA0),
             ends_line = code == 0x2028 || code == 0x2029;
  return control || ends_line || turns(code);
}

// `keeps(at)`: what is there stays, though it acts.
template <class Keeps>
std::string written_out(std::string_view text, Keeps keeps) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t from = at;
    const char32_t code = next_code_point(text, at);
    if (code == kMalformed)
      at = from + 1, out += fmt::format("\\x{:02x}", uint8_t(text[from]));
    else if (!acts(code) || keeps(from))
      out += text.substr(from, at - from);
    else
      out +=
          code < 0x80 ? fmt::format("\\x{:02x}", uint32_t(code)) : fmt::format("\\u{:04x}", uint32_t(code));
  }
  return out;
}

}  // namespace

char32_t next_code_point(std::string_view text, size_t& at) {
  if (at >= text.size()) return kMalformed;
  const Lead lead = lead_of(uint8_t(text[at]));
  if (lead.bytes == 0 || lead.bytes > text.size() - at) return kMalformed;
  char32_t value = lead.value;
  for (size_t i = 1; i < lead.bytes; ++i) {
    const auto byte = uint8_t(text[at + i]);
    if ((byte & 0xC0) != 0x80) return kMalformed;
    value = value << 6 | (byte & 0x3FU);
  }
  const bool surrogate = value >= 0xD800 && value < 0xE000;
  if (value < lead.smallest || value > 0x10FFFF || surrogate) return kMalformed;
  at += lead.bytes;
  return value;
}

std::vector<std::string_view> code_points(std::string_view text) {
  std::vector<std::string_view> out;
  for (size_t at = 0, from = 0; next_code_point(text, at) != kMalformed; from = at)
    out.push_back(text.substr(from, at - from));
  return out;
}

void append_code_point(std::string& text, char32_t code) {
  const auto tail = [&](int shift) { text += char(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    text += char(code);
  } else if (code < 0x800) {
    text += char(0xC0 | code >> 6), tail(0);
  } else if (code < 0x10000) {
    text += char(0xE0 | code >> 12), tail(6), tail(0);
  } else {
    text += char(0xF0 | code >> 18), tail(12), tail(6), tail(0);
  }
}

bool is_utf8(std::string_view text) {
  size_t at = 0;
  while (next_code_point(text, at) != kMalformed) {
  }
  return at == text.size();
}

std::string escape_bytes(std::string_view bytes) {
  std::string out;
  for (size_t at = 0; at < bytes.size();) {
    const size_t from = at;
    const char32_t code = next_code_point(bytes, at);
    if (code == kMalformed || (code == '\\' && bytes.substr(at).starts_with('x')))
      at = from + 1, out += fmt::format("\\x{:02x}", uint8_t(bytes[from]));
    else
      out += bytes.substr(from, at - from);
  }
  return out;
}

std::string printable(std::string_view text) {
  return written_out(text, [](size_t) { return false; });
}

std::string printable_lines(std::string_view text) {
  return written_out(text, [&](size_t at) { return text.substr(at).starts_with("\n  "); });
}

std::string printable_json(std::string_view dumped) {
  std::string out;
  for (size_t at = 0; at < dumped.size();) {
    const size_t from = at;
    const char32_t code = next_code_point(dumped, at);
    if (code == kMalformed) at = from + 1;
    const bool written = code != kMalformed && code >= 0x7F && acts(code);
    out += written ? fmt::format("\\u{:04x}", uint32_t(code)) : std::string(dumped.substr(from, at - from));
  }
  return out;
}

std::string unescape_bytes(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    uint8_t byte = 0;
    const std::string_view digits = text.substr(at).starts_with("\\x") ? text.substr(at + 2, 2) : "";
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), byte, 16);
    const bool escaped = digits.size() == 2 && error == std::errc() && end == digits.end();
    out += escaped ? char(byte) : text[at];
    at += escaped ? 4 : 1;
  }
  return out;
}

std::string to_utf8(std::string_view text) {
  std::string out;
  if (is_utf8(text)) return out = text;
  for (const char c : text) append_code_point(out, uint8_t(c));
  return out;
}

}  // namespace saddle
