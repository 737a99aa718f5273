#include "launch/run/site.h"

#include <algorithm>
#include <cctype>
#include <functional>
#include <map>
#include <regex>

#include "dist/error.h"
#include "dist/file.h"
#include "launch/run/shell_words.h"
#include "models/options.h"

namespace saddle {
namespace {

using Words = std::vector<std::string>;

// Editors of other systems end lines with \r\n, and a shell would take the \r for a part of the word before
// it.
std::string with_plain_line_ends(const std::string& text) {
  return std::regex_replace(text, std::regex("\r\n"), "\n");
}

Words options(const std::string& key, const std::string& text) {
  Words words = split_words(text);
  for (const std::string& word : words) require_no_controls(key, word);
  return words;
}

std::string one_line(const std::string& key, const std::string& text) {
  require_no_controls(key, text);
  return text;
}

std::string lines(const std::string& key, const std::string& text) {
  require_no_controls(key, text, "\n\t");
  return text;
}

void add_variable(Site& site, const std::string& key, const std::string& name, const std::string& value) {
  const auto letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool valid = !name.empty() && letter(name.front()) &&
                     std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || digit(c); });
  require(valid, Exit::usage,
          "{}: '{}' is no name of an environment variable: letters, digits and _, no digit first", key, name);
  site.environment.emplace_back(name, one_line(key, value));
}

}  // namespace

Site read_site(const std::string& path) {
  Site site;
  using Text = const std::string&;
  const std::map<std::string, std::function<void(Text, Text)>> keys = {
      {"account", [&](Text k, Text v) { site.account = one_line(k, v); }},
      {"partition", [&](Text k, Text v) { site.partition = one_line(k, v); }},
      {"launcher", [&](Text k, Text v) { site.launcher = one_line(k, v); }},
      {"mem", [&](Text k, Text v) { site.mem = one_line(k, v); }},
      {"setup", [&](Text k, Text v) { site.setup = lines(k, v); }},
      {"sbatch", [&](Text k, Text v) { site.sbatch = options(k, v); }},
      {"srun", [&](Text k, Text v) { site.srun = options(k, v); }},
      {"mpirun", [&](Text k, Text v) { site.mpirun = options(k, v); }}};
  const std::string variables = "environment.";
  for (const auto& [key, value] : parse_toml(with_plain_line_ends(read_file(path, kMostTextBytes)), path)) {
    const std::string where = path + ": " + key;
    if (key.starts_with(variables)) {
      add_variable(site, where, key.substr(variables.size()), value);
      continue;
    }
    const auto known = keys.find(key);
    require(known != keys.end(), Exit::usage,
            "{}: no key '{}' in a site file: account, partition, launcher, mem, sbatch, srun, mpirun, setup, "
            "environment.NAME",
            path, key);
    known->second(where, value);
  }
  return site;
}

}  // namespace saddle
