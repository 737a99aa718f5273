#include "launch/exchange/name_map.h"

#include <optional>
#include <sstream>

#include "dist/error.h"
#include "dist/file.h"
#include "models/options.h"

namespace saddle {
namespace {

// What each `*` of the pattern stands for, the first ones as short as can be; nothing if it does not match.
std::optional<std::vector<std::string>> match(std::string_view pattern, std::string_view text) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos)
    return pattern == text ? std::optional(std::vector<std::string>()) : std::nullopt;
  if (!text.starts_with(pattern.substr(0, star))) return std::nullopt;
  for (size_t end = star; end <= text.size(); ++end)
    if (auto rest = match(pattern.substr(star + 1), text.substr(end))) {
      rest->insert(rest->begin(), std::string(text.substr(star, end - star)));
      return rest;
    }
  return std::nullopt;
}

std::string fill(std::string pattern, const std::vector<std::string>& parts) {
  size_t from = 0;
  for (const std::string& part : parts) {
    const size_t star = pattern.find('*', from);
    if (star == std::string::npos) break;
    pattern.replace(star, 1, part);
    from = star + part.size();
  }
  return pattern;
}

int64_t stars(const std::string& pattern) {
  return std::count(pattern.begin(), pattern.end(), '*');
}

int64_t letters(const std::string& pattern) {
  return static_cast<int64_t>(pattern.size()) - stars(pattern);
}

}  // namespace

torch::Tensor Placement::apply(const torch::Tensor& theirs) const {
  torch::Tensor x = theirs;
  if (flatten && x.dim() > 2) x = x.flatten(1);
  if (transpose && x.dim() >= 2) x = x.transpose(0, 1);
  return x;
}

NameMap::NameMap(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    if (const size_t equals = text.find('='); equals != std::string::npos)
      add(text.substr(0, equals), text.substr(equals + 1));
    else
      for (const auto& [theirs, ours] : parse_toml(read_file(text, kMostTextBytes), "'" + text + "'"))
        add(theirs, ours);
  }
}

void NameMap::add(const std::string& theirs, const std::string& ours) {
  Rule rule{.theirs = theirs, .ours = {}};
  std::istringstream words(ours);
  words >> rule.ours.name;
  for (std::string word; words >> word;) {
    require(word == "flatten" || word == "transpose", Exit::usage,
            "map of names, '{}': after our name may stand flatten and transpose, found '{}'", theirs, word);
    (word == "flatten" ? rule.ours.flatten : rule.ours.transpose) = true;
  }
  require(stars(rule.ours.name) <= stars(theirs), Exit::usage,
          "map of names: '{}' has more * than '{}', which they stand for", rule.ours.name, theirs);
  rules_.push_back(std::move(rule));
}

Placement NameMap::of(const std::string& theirs) const {
  Placement found{.name = theirs};
  int64_t best = -1;
  for (const Rule& rule : rules_) {
    const auto parts = match(rule.theirs, theirs);
    const int64_t weight = stars(rule.theirs) == 0 ? INT64_MAX : letters(rule.theirs);
    if (!parts || weight <= best) continue;
    best = weight;
    found = rule.ours;
    found.name = fill(found.name, *parts);
  }
  return found;
}

}  // namespace saddle
