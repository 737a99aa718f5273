#include "data/tokens.h"

#include "dist/error.h"

namespace saddle {
namespace {

template <class T>
std::string decode(const Field& field, std::span<const T> tokens) {
  const auto& names = field.class_names;
  require(!names.empty(), Exit::data, "field {}: has no vocabulary to decode tokens by", field.name);
  std::string out;
  for (const T token : tokens) {
    if (token == kEnd) break;
    if (token == kPad || token == kBegin) continue;
    require(token >= 0 && size_t(token) < names.size(), Exit::data,
            "field {}: token {} is outside its vocabulary of {}", field.name, token, names.size());
    out += names[size_t(token)];
  }
  return out;
}

}  // namespace

std::string decode_tokens(const Field& field, std::span<const int64_t> tokens) {
  return decode(field, tokens);
}
std::string decode_tokens(const Field& field, std::span<const int32_t> tokens) {
  return decode(field, tokens);
}

}  // namespace saddle
