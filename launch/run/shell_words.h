// Words of command lines and job scripts.
#pragma once

#include <string>
#include <vector>

namespace saddle {

// As one word of a shell's command line.
std::string quoted(const std::string& word);
std::string quoted(const std::vector<std::string>& words);
// As one word of an #SBATCH line.
std::string sbatch_quoted(const std::string& word);

std::vector<std::string> split_words(const std::string& text);  // at white space

// Exit::usage, naming `what`, if a job script could not hold the text: it has line breaks or other control
// characters but for those of `allowed`.
void require_no_controls(const std::string& what, const std::string& text, const std::string& allowed = "");

}  // namespace saddle
