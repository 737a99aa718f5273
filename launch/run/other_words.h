// Words of other programs and papers for what has another name here, so that an error can say what was meant.
#pragma once

#include <string>
#include <vector>

#include "models/options.h"

namespace saddle {

// What to write instead of the unknown key `key` of a recipe or --set: "; that is 'batch' here (...)". Knows
// the words of other programs, the end of a longer key ("lr"), keys of other systems, and slips of the pen.
// Empty if nothing is near.
std::string meant_key(const std::string& key, const OptionTable& table);

// The same for a flag of `saddle train` that does not exist, such as "--batch", with the value that followed
// it: "; that is a key: --set batch=32".
std::string meant_flag(const std::string& flag, const std::string& value,
                       const std::vector<std::string>& flags);

// Of a subcommand of `above`: "saddle", "generate" -> "; did you mean `saddle sample`?".
std::string meant_command(const std::string& above, const std::string& word,
                          const std::vector<std::string>& commands);

}  // namespace saddle
