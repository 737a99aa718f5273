// Options described once: key, help, unit, range. The same description serves flags, recipe files, --dry-run,
// --help and the run folder. A struct of plain values is the options; the table points into it.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace saddle {

// What a value may be, and what it is measured in.
struct Limits {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  std::string unit = {};
};

class OptionTable {
 public:
  using Value = std::variant<int64_t*, double*, bool*, std::string*>;
  struct Option {
    std::string key;  // dotted: "checkpoint.every"
    Value value;
    std::string help;
    Limits limits;
    std::vector<std::string> choices;  // of a string; empty: any
    std::string standard = {};         // the default, as TOML writes it
  };

  // `value` must outlive the table; what it holds now is the default. Exit::bug for a key it has already.
  void add(const std::string& key, int64_t& value, const std::string& help, Limits limits = {});
  void add(const std::string& key, double& value, const std::string& help, Limits limits = {});
  void add(const std::string& key, bool& value, const std::string& help);
  void add(const std::string& key, std::string& value, const std::string& help,
           std::vector<std::string> choices = {});

  // From text, as --set gives it. Exit::usage for an unknown key (naming the nearest), a value that does not
  // parse, is out of range, or no choice; `where` says who asked: "--set" or a file's name.
  void set(const std::string& key, const std::string& text, const std::string& where);
  bool has(const std::string& key) const;
  const std::vector<Option>& options() const { return options_; }

  std::string toml() const;  // every key with its value; set() on each pair gives the same table back
  std::string help() const;  // a line an option: key, value, unit, range or choices, what it does

 private:
  void insert(Option option);
  Option& find(const std::string& key, const std::string& where);
  std::vector<Option> options_;
};

std::string text_of(const OptionTable::Option& option);  // as TOML writes it
// The known word with the smallest edit distance.
std::string nearest(const std::string& word, const std::vector<std::string>& known);
// Key and value text of every leaf of a TOML document, in order of key. `where` names it in errors:
// Exit::usage with the line when malformed.
std::vector<std::pair<std::string, std::string>> parse_toml(const std::string& document,
                                                            const std::string& where);

}  // namespace saddle
