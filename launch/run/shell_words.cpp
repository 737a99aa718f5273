#include "launch/run/shell_words.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <sstream>
#include <string_view>

#include "dist/error.h"

namespace saddle {
namespace {

bool plain(const std::string& word) {
  constexpr std::string_view kOthers = "_@%+=:,./-";
  return !word.empty() && std::all_of(word.begin(), word.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || kOthers.find(c) != std::string_view::npos;
  });
}

bool is_control(char c) {
  return std::iscntrl(static_cast<unsigned char>(c)) != 0;
}

// As a person reads it: "runs/a\x0ab".
std::string visible(const std::string& text) {
  std::string shown;
  for (const char c : text) shown += is_control(c) ? fmt::format("\\x{:02x}", c) : std::string(1, c);
  return shown;
}

}  // namespace

std::string quoted(const std::string& word) {
  if (plain(word)) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string quoted(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + quoted(word);
  return text;
}

std::string sbatch_quoted(const std::string& word) {
  if (plain(word)) return word;
  std::string text = "\"";
  for (const char c : word) text += (c == '"' || c == '\\' ? "\\" : "") + std::string(1, c);
  return text + "\"";
}

std::vector<std::string> split_words(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

void require_no_controls(const std::string& what, const std::string& text, const std::string& allowed) {
  for (const char c : text)
    require(!is_control(c) || allowed.find(c) != std::string::npos, Exit::usage,
            "{} has a control character, such as a line break, which a job script cannot hold: '{}'", what,
            visible(text));
}

}  // namespace saddle
