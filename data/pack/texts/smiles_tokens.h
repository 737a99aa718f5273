// The tokens of SMILES (OpenSMILES 1.0, opensmiles.org): a bracket atom, a two-letter atom or a ring closure
// %nn is one.
#pragma once

#include "data/pack/texts/sequences.h"

namespace saddle {

// Malformed are stray characters, unclosed brackets, unknown elements, branches that do not balance and ring
// closures without a partner. Chemistry (valences, aromaticity) is not looked at.
Tokens smiles_tokens(std::string& line);

}  // namespace saddle
