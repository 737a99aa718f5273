// Text as numbers: the tokens that every vocabulary begins with, and the way back to text.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "data/schema.h"

namespace saddle {

// A field of tokens has a vocabulary as its `class_names`. A sample is a line's tokens and kEnd, which is
// missing where the line was cut off; kPad fills batches, kBegin is for nets to begin with and is not stored.
enum Token : int64_t { kPad = 0, kBegin = 1, kEnd = 2, kUnknown = 3 };
constexpr std::array<const char*, 4> kReserved{"<pad>", "<bos>", "<eos>", "<unk>"};

// The text up to the first kEnd, without kPad and kBegin. Exit::data if the field has no vocabulary or a
// token is outside it.
std::string decode_tokens(const Field& field, std::span<const int64_t> tokens);
std::string decode_tokens(const Field& field, std::span<const int32_t> tokens);

}  // namespace saddle
