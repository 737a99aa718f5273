#include "models/options.h"

#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "dist/error.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

template <class... F>
struct Overload : F... {
  using F::operator()...;
};
template <class... F>
Overload(F...) -> Overload<F...>;

std::string number_text(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";  // TOML tells 1 from 1.0
  return text;
}

// Bounds beyond it keep numbers computable, and tell a reader nothing.
constexpr double kEndless = 1e6;

std::string bound_text(double bound) {
  const bool whole = std::abs(bound) < 1e15 && bound == std::trunc(bound);
  return whole ? fmt::format("{}", static_cast<int64_t>(bound)) : fmt::format("{:g}", bound);
}

std::string range_text(const Limits& limits) {
  if (limits.high < kEndless)
    return std::isinf(limits.low) ? "at most " + bound_text(limits.high)
                                  : bound_text(limits.low) + " to " + bound_text(limits.high);
  return std::isinf(limits.low) ? "" : "at least " + bound_text(limits.low);
}

int edit_distance(const std::string& a, const std::string& b) {
  std::vector<int> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int keep = std::exchange(diagonal, row[j]) + (a[i - 1] != b[j - 1]);
      row[j] = std::min({keep, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

template <class T>
T parsed(const OptionTable::Option& option, const std::string& text, const std::string& where,
         const char* kind) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(error == std::errc() && end == text.data() + text.size(), Exit::usage,
          "{}: '{}' expects {}, found '{}'", where, option.key, kind, text);
  const Limits& limits = option.limits;
  require(value >= limits.low && value <= limits.high, Exit::usage, "{}: '{}' is {}{}{}, found {}", where,
          option.key, value > limits.high ? "at most " + bound_text(limits.high) : range_text(limits),
          limits.unit.empty() ? "" : " ", limits.unit, text);
  return value;
}

bool parsed_bool(const OptionTable::Option& option, const std::string& text, const std::string& where) {
  require(text == "true" || text == "false", Exit::usage, "{}: '{}' is true or false, found '{}'", where,
          option.key, text);
  return text == "true";
}

std::string chosen(const OptionTable::Option& option, const std::string& text, const std::string& where) {
  const auto& choices = option.choices;
  require(choices.empty() || std::find(choices.begin(), choices.end(), text) != choices.end(), Exit::usage,
          "{}: '{}' is one of {}, found '{}'{}", where, option.key, fmt::join(choices, ", "), text,
          did_you_mean(text, choices));
  return text;
}

std::string help_line(const OptionTable::Option& option) {
  const Limits& limits = option.limits;
  std::string note = fmt::format("{}", fmt::join(option.choices, " | "));
  if (limits.high < kEndless) note = range_text(limits);
  if (!limits.unit.empty()) note = limits.unit + (note.empty() ? "" : ", ") + note;
  const bool changed = text_of(option) != option.standard;
  return fmt::format("{:<40} # {}{}{}\n", fmt::format("{} = {}", option.key, printable(text_of(option))),
                     changed ? fmt::format("* default {}: ", option.standard) : "", option.help,
                     note.empty() ? "" : " (" + note + ")");
}

bool is_upper(unsigned char c) {
  return std::isupper(c) != 0;
}

// Behind the text that begins here, in any of TOML's four kinds of quotes.
size_t end_of_text(std::string_view document, size_t at) {
  const std::string_view one = document.substr(at, 1), three = document.substr(at, 3);
  const bool escapes = one == "\"", lines = three.size() == 3 && three[1] == one[0] && three[2] == one[0];
  const std::string_view quote = lines ? three : one;
  for (at += quote.size(); at < document.size(); ++at) {
    if (escapes && document[at] == '\\')
      ++at;
    else if (!lines && document[at] == '\n')
      return at;
    else if (document.substr(at, quote.size()) == quote)
      break;
  }
  at = std::min(document.size(), at + quote.size());
  for (int more = 0; lines && more < 2 && document.substr(at, 1) == one; ++more) ++at;  // belong to the text
  return at;
}

// toml++ goes down a level of its stack for each dot of a key and each bracket, however many there are.
void require_shallow(std::string_view document, const std::string& where) {
  constexpr int kMostDots = 64, kMostOpen = 16;
  int dots = 0, open = 0;
  for (size_t at = 0; at < document.size();) {
    const char c = document[at];
    if (c == '"' || c == '\'') {
      at = end_of_text(document, at);
      continue;
    }
    if (c == '#') {
      at = std::min(document.size(), document.find('\n', at));
      continue;
    }
    dots = c == '.' ? dots + 1 : c == '\n' || c == '=' || c == ',' ? 0 : dots;
    open += c == '[' || c == '{' ? 1 : c == ']' || c == '}' ? -1 : 0;
    if (dots > kMostDots || open > kMostOpen)
      fail(Exit::usage, "{} line {}: nested too deeply", where,
           std::count(document.begin(), document.begin() + int64_t(at), '\n') + 1);
    ++at;
  }
}

// The dotted keys at the start of a line as quoted ones, which name the same key here: r1 = 10 may stand
// beside r1.every = 16, of which TOML would make a number and a table of one name.
std::string with_quoted_keys(std::string_view document) {
  constexpr std::string_view kKey = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.",
                             kSpace = " \t";
  std::string text;
  text.reserve(document.size() + document.size() / 8);
  bool line_start = true;
  for (size_t at = 0; at < document.size();) {
    const char c = document[at];
    size_t end = at + 1;
    if (c == '"' || c == '\'') {
      end = end_of_text(document, at);
    } else if (c == '#') {
      end = std::min(document.size(), document.find('\n', at));
    } else if (line_start && kKey.find(c) != std::string_view::npos) {
      end = std::min(document.size(), document.find_first_not_of(kKey, at));
      const std::string_view key = document.substr(at, end - at);
      const size_t next = document.find_first_not_of(kSpace, end);
      const bool plain = key.find("..") == std::string_view::npos && key.front() != '.' && key.back() != '.';
      if (plain && key.find('.') != std::string_view::npos && next < document.size() &&
          document[next] == '=') {
        text.append("\"").append(key).append("\"");
        at = end;
        line_start = false;
        continue;
      }
    }
    text.append(document.substr(at, end - at));
    line_start = c == '\n' || (line_start && kSpace.find(c) != std::string_view::npos);
    at = end;
  }
  return text;
}

void flatten(const toml::table& table, const std::string& prefix, const std::string& where,
             std::vector<std::pair<std::string, std::string>>& into) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    if (const auto* inner = node.as_table())
      flatten(*inner, key + ".", where, into);
    else if (const auto* text = node.as_string())
      into.emplace_back(key, text->get());
    else if (const auto* whole = node.as_integer())
      into.emplace_back(key, std::to_string(whole->get()));
    else if (const auto* real = node.as_floating_point())
      into.emplace_back(key, fmt::format("{}", real->get()));
    else if (const auto* yes = node.as_boolean())
      into.emplace_back(key, yes->get() ? "true" : "false");
    else
      fail(Exit::usage, "{}: '{}' is neither text, number nor true/false", where, key);
  }
}

}  // namespace

void OptionTable::add(const std::string& key, int64_t& value, const std::string& help, Limits limits) {
  insert({key, &value, help, limits, {}});
}
void OptionTable::add(const std::string& key, double& value, const std::string& help, Limits limits) {
  insert({key, &value, help, limits, {}});
}
void OptionTable::add(const std::string& key, bool& value, const std::string& help) {
  insert({key, &value, help, {}, {}});
}
void OptionTable::add(const std::string& key, std::string& value, const std::string& help,
                      std::vector<std::string> choices) {
  insert({key, &value, help, {}, std::move(choices)});
}

void OptionTable::insert(Option option) {
  require(!has(option.key), Exit::bug, "the option '{}' is described twice", option.key);
  option.standard = text_of(option);
  option.group = group_;
  options_.push_back(std::move(option));
}

bool OptionTable::has(const std::string& key) const {
  return std::any_of(options_.begin(), options_.end(), [&](const Option& o) { return o.key == key; });
}

OptionTable::Option& OptionTable::find(const std::string& key, const std::string& where) {
  std::vector<std::string> keys;
  for (Option& option : options_) {
    if (option.key == key) return option;
    keys.push_back(option.key);
  }
  fail(Exit::usage, "{}: unknown key '{}'{}; `saddle train RECIPE --dry-run` lists the keys of a system",
       where, key, did_you_mean(key, keys));
}

void OptionTable::set(const std::string& key, const std::string& text, const std::string& where) {
  Option& option = find(key, where);
  std::visit(
      Overload{[&](int64_t* value) { *value = parsed<int64_t>(option, text, where, "a whole number"); },
               [&](double* value) { *value = parsed<double>(option, text, where, "a number"); },
               [&](bool* value) { *value = parsed_bool(option, text, where); },
               [&](std::string* value) {
                 constexpr size_t kMost = 1 << 14;
                 require(text.size() <= kMost, Exit::usage, "{}: '{}' expects at most {} bytes, found {}",
                         where, key, kMost, text.size());
                 require(is_utf8(text), Exit::usage, "{}: '{}' expects UTF-8, found other bytes", where, key);
                 *value = chosen(option, text, where);
               }},
      option.value);
}

std::string text_of(const OptionTable::Option& option) {
  return std::visit(Overload{[](const int64_t* value) { return std::to_string(*value); },
                             [](const double* value) { return number_text(*value); },
                             [](const bool* value) { return std::string(*value ? "true" : "false"); },
                             [](const std::string* value) {
                               return (std::stringstream() << toml::value<std::string>(*value)).str();
                             }},
                    option.value);
}

std::string OptionTable::toml() const {
  std::string text;
  for (const Option& option : options_) text += fmt::format("{} = {}\n", option.key, text_of(option));
  return text;
}

std::string OptionTable::help() const {
  std::vector<std::string> groups;
  for (const Option& option : options_)
    if (std::find(groups.begin(), groups.end(), option.group) == groups.end()) groups.push_back(option.group);
  std::string text;
  for (const std::string& group : groups) {
    if (!group.empty()) text += fmt::format("{}# {}\n", text.empty() ? "" : "\n", group);
    for (const Option& option : options_)
      if (option.group == group) text += help_line(option);
  }
  return text;
}

std::string nearest(const std::string& written, const std::vector<std::string>& known) {
  constexpr size_t kLongest = 100;
  if (written.size() > kLongest) return "";  // meant nothing that is known
  std::string word = written;
  if (std::none_of(known.begin(), known.end(),
                   [](const std::string& k) { return std::any_of(k.begin(), k.end(), is_upper); }))
    std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto begins = [&](const std::string& other) { return word.size() > 2 && other.starts_with(word); };
  if (const auto longer = std::find_if(known.begin(), known.end(), begins); longer != known.end())
    return *longer;
  const auto best =
      std::min_element(known.begin(), known.end(), [&](const std::string& a, const std::string& b) {
        return edit_distance(word, a) < edit_distance(word, b);
      });
  const int most = std::max(1, static_cast<int>(word.size() + 1) / 3);  // more letters make another word
  return best == known.end() || edit_distance(word, *best) > most ? "" : *best;
}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& known) {
  const std::string near = nearest(word, known);
  return near.empty() ? "" : fmt::format("; did you mean '{}'?", near);
}

std::vector<std::pair<std::string, std::string>> parse_toml(const std::string& document,
                                                            const std::string& where) try {
  require_shallow(document, where);
  std::vector<std::pair<std::string, std::string>> pairs;
  flatten(toml::parse(with_quoted_keys(document)), "", where, pairs);
  std::sort(pairs.begin(), pairs.end());
  const auto twice = std::adjacent_find(pairs.begin(), pairs.end(),
                                        [](const auto& a, const auto& b) { return a.first == b.first; });
  require(twice == pairs.end(), Exit::usage, "{}: the key '{}' occurs twice", where,
          twice == pairs.end() ? "" : twice->first);
  return pairs;
} catch (const toml::parse_error& e) {
  fail(Exit::usage, "{} line {}: {}", where, e.source().begin.line, e.description());
}

}  // namespace saddle
