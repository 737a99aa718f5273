#include "launch/usage.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>

#include "data/store/index.h"
#include "launch/run/other_words.h"

namespace saddle {
namespace {

using Words = std::vector<std::string>;

bool is_flag(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && !std::isdigit(static_cast<unsigned char>(word[1]));
}

Words flags_of(const CLI::App& app) {
  Words flags;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  return flags;
}

Words commands_of(const CLI::App& app) {
  Words names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(sub->get_name());
  return names;
}

// Flags of `saddle train`, where that is a subcommand of `app`, or `app` itself.
Words train_flags(const CLI::App& app) {
  const auto subs = app.get_subcommands([](const CLI::App* sub) { return sub->get_name() == "train"; });
  return flags_of(subs.empty() ? app : *subs.front());
}

// What follows `flag`: "32" of "--batch 32" and of "--batch=32".
std::string value_of(const std::string& flag, const Words& arguments) {
  const auto at = std::find(arguments.begin(), arguments.end(), flag);
  if (const size_t equals = flag.find('='); equals != std::string::npos) return flag.substr(equals + 1);
  return at == arguments.end() || at + 1 == arguments.end() || is_flag(*(at + 1)) ? "" : *(at + 1);
}

std::string about_flag(const CLI::App& root, const CLI::App& at, const std::string& word,
                       const Words& arguments) {
  const std::string flag = word.substr(0, word.find('=')), value = value_of(word, arguments);
  const Words own = flags_of(at);
  if (flag == "--step" && std::find(own.begin(), own.end(), "--init-from-step") != own.end())
    return "; of --init-from that is --init-from-step N|best; --steps N is the length of the training";
  if (at.get_option_no_throw("--set") != nullptr) return meant_flag(flag, value, own);
  if (at.get_option_no_throw("train-flags") == nullptr) return did_you_mean(flag, own);
  const Words trains = train_flags(root);
  if (std::find(trains.begin(), trains.end(), flag) != trains.end())
    return fmt::format("; flags of `saddle train` go behind --: -- {}{}{}", flag, value.empty() ? "" : " ",
                       value);
  if (const std::string near = did_you_mean(flag, own); !near.empty()) return near;
  const std::string meant = meant_flag(flag, value, trains);
  return meant.empty() ? "" : meant + ", behind --";
}

std::string about_word(const CLI::App& at, const std::string& word) {
  if (at.get_option_no_throw("--set") != nullptr && word.find('=') != std::string::npos)
    return fmt::format("; a key is set by --set {}", word);
  if (at.get_option_no_throw("--data") != nullptr && has_index(word))
    return fmt::format("; a data set is passed by --data {}", word);
  return "";
}

// Of the words that nobody took, the first as they were written; empty if there are none.
std::string first_unexpected(const CLI::App& app, const Words& arguments) {
  const Words left = app.remaining(true);
  const auto found = std::find_first_of(arguments.begin(), arguments.end(), left.begin(), left.end());
  return found == arguments.end() ? "" : *found;
}

std::string unexpected(const CLI::App& root, const CLI::App& at, const std::string& name,
                       const std::string& word, const Words& arguments) {
  if (is_flag(word))
    return fmt::format("`{}` has no flag {}{}", name, word, about_flag(root, at, word, arguments));
  const Words commands = commands_of(at);
  if (!commands.empty())
    return fmt::format("there is no `{} {}`{}", name, word, meant_command(name, word, commands));
  return fmt::format("`{}` did not expect '{}'{}", name, word, about_word(at, word));
}

// CLI11 names the range of a positive number to 309 digits.
std::string without_endless_range(const std::string& text) {
  static const std::regex endless("Value (.*) not in range .* to [0-9]{100,}.*");
  return std::regex_replace(text, endless, "expected a positive number, found '$1'");
}

}  // namespace

std::string usage_error(const CLI::App& app, const CLI::ParseError& error, const Words& arguments) {
  const CLI::App* at = &app;
  std::string name = app.get_name();
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    name += " " + at->get_name();
  }
  const std::string word = first_unexpected(app, arguments);
  const bool extra = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
  const bool wrong_command = !word.empty() && !is_flag(word) && !commands_of(*at).empty();
  const std::string what = extra || wrong_command ? unexpected(app, *at, name, word, arguments)
                                                  : without_endless_range(error.what());
  return fmt::format("{}{} `{} --help` explains it", what, what.ends_with('?') ? "" : ";", name);
}

}  // namespace saddle
