#include "data/pack/utf8.h"

#include <array>
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

}  // namespace saddle
