// Text in tokens: code points, or words and punctuation.
#pragma once

#include "data/pack/texts/sequences.h"

namespace saddle {

Tokens char_tokens(std::string& line);

// White space becomes single spaces, none at the ends. A token is a word or one mark of punctuation, with the
// space before it, if there is one: "Hello, world" is "Hello" "," " world". So they give the text back.
Tokens word_tokens(std::string& line);

}  // namespace saddle
