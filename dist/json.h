// JSON from files: read with limits, refused with line and column, and asked for values by getters that throw
// Exit::data. nlohmann's own parser keeps the last of two equal keys, nests without end and names neither.
//
//   const json manifest = parse_json(read_file(path), path);
//   const int64_t step = integer_at(manifest, "step");
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace saddle {

inline constexpr int64_t kMostJsonBytes = int64_t{64} << 20;  // of a file; more is none that saddle writes

// The value of a text, which errors call `where` ("" for none). Exit::data names line and column of whatever
// is malformed, of bytes that are no UTF-8, of a key that occurs twice in its object (with both values), of
// the 65th level, and of more values than memory is meant for: a million, or one in eight bytes.
nlohmann::json parse_json(std::string_view text, const std::string& where);
// Of a regular file; Exit::io if it cannot be read, Exit::data also if it is larger than `most` bytes.
nlohmann::json read_json(const std::string& path, int64_t most = kMostJsonBytes);

// As errors show it: at most about 80 bytes, UTF-8.
std::string excerpt(const nlohmann::json& value);

// Exit::data: "expected an integer, found 1e300". Numbers beyond 64 bits are none.
int64_t integer(const nlohmann::json& value);
double number(const nlohmann::json& value);
const std::string& text(const nlohmann::json& value);

// Of an object; Exit::data names the key: "step: expected an integer, found null".
const nlohmann::json& value_at(const nlohmann::json& object, const char* key);
int64_t integer_at(const nlohmann::json& object, const char* key);
int64_t count_at(const nlohmann::json& object, const char* key);  // an integer that is not negative
bool boolean_at(const nlohmann::json& object, const char* key);
double number_at(const nlohmann::json& object, const char* key);
const std::string& text_at(const nlohmann::json& object, const char* key);
const nlohmann::json& list_at(const nlohmann::json& object, const char* key);
const nlohmann::json& object_at(const nlohmann::json& object, const char* key);

}  // namespace saddle
