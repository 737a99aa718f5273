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
    std::string group = {};
  };

  // The options added in its scope are shown together, under this title.
  class Group {
   public:
    Group(OptionTable& table, const std::string& title)
        : table_(table), before_(std::exchange(table.group_, title)) {}
    ~Group() { table_.group_ = before_; }
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;

   private:
    OptionTable& table_;
    std::string before_;
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
  // TOML too, by group, with a comment an option: its default (marked *) if it has another value, what it
  // does, unit, range or choices.
  std::string help() const;

 private:
  void insert(Option option);
  Option& find(const std::string& key, const std::string& where);
  std::vector<Option> options_;
  std::string group_;
};

std::string text_of(const OptionTable::Option& option);  // as TOML writes it
// The known word that `word` was meant to be: it goes on as `word` begins, or differs by a few letters. Empty
// if none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& known);
// "; did you mean 'batch'?", or nothing if none is near.
std::string did_you_mean(const std::string& word, const std::vector<std::string>& known);
// Key and value text of every leaf of a TOML document, in order of key. `where` names it in errors:
// Exit::usage with the line when malformed.
std::vector<std::pair<std::string, std::string>> parse_toml(const std::string& document,
                                                            const std::string& where);

}  // namespace saddle
