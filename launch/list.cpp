// saddle list: what there is to choose from.
#include <fmt/ranges.h>

#include <iostream>

#include "dist/error.h"
#include "launch/commands.h"
#include "launch/run/train_options.h"
#include "models/objective.h"

namespace saddle {
namespace {

std::string list_systems() {
  std::string text;
  for (const SystemEntry& entry : systems())
    text += fmt::format("{:<16} {} ({})\n", entry.name, entry.about, entry.paper);
  return text;
}

std::string list_losses() {
  std::string text;
  for (const AdversarialLoss& loss : adversarial_losses())
    text += fmt::format("{:<16} {}  ({})\n", loss.name, loss.formula, loss.source);
  text += "terms of D, each with a weight of its own (--set r1=10)\n";
  for (const Term& term : terms())
    text += fmt::format("{:<16} {}  ({}; usual {})\n", term.key, term.formula, term.source, term.usual);
  return text;
}

std::string list_recipes() {
  std::string text;
  for (const Recipe& recipe : recipes()) text += fmt::format("{:<16} {}\n", recipe.name, recipe.about);
  return text;
}

std::string table(const std::vector<std::string>& heads, const std::vector<std::vector<std::string>>& rows) {
  const auto line = [](const std::vector<std::string>& cells) {
    return fmt::format("| {} |\n", fmt::join(cells, " | "));
  };
  std::string text = line(heads) + line(std::vector<std::string>(heads.size(), "---"));
  for (const auto& row : rows) text += line(row);
  return text;
}

// A cell's "|" would end it.
std::string cell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

std::string systems_in_markdown() {
  std::vector<std::vector<std::string>> rows;
  for (const SystemEntry& entry : systems())
    rows.push_back({"`" + entry.name + "`", entry.about, entry.modality, entry.paper});
  return table({"system", "what it is", "draws", "paper"}, rows);
}

std::string losses_in_markdown() {
  std::vector<std::vector<std::string>> pairs, weights;
  for (const AdversarialLoss& loss : adversarial_losses())
    pairs.push_back({"`loss=" + loss.name + "`", cell(loss.formula), loss.source});
  for (const Term& term : terms())
    weights.push_back({"`" + term.key + "`", cell(term.formula), term.usual,
                       term.per_sample ? "without batch norm" : "any", term.source});
  return table({"pair", "minimised", "source"}, pairs) + "\n" +
         table({"term of D", "weighed", "usual weight", "discriminators", "source"}, weights);
}

int list(World& world, const std::string& what, bool markdown) {
  if (world.rank() != 0) return 0;
  if (markdown) {
    require(what == "systems" || what == "losses", Exit::usage,
            "--markdown is for `saddle list systems` and `saddle list losses`");
    std::cout << (what == "systems" ? systems_in_markdown() : losses_in_markdown());
    return 0;
  }
  if (what.empty())
    std::cout << "recipes\n"
              << list_recipes() << "\nsystems\n"
              << list_systems() << "\nlosses\n"
              << list_losses();
  else
    std::cout << (what == "systems" ? list_systems() : what == "losses" ? list_losses() : list_recipes());
  return 0;
}

}  // namespace

void add_list(CLI::App& app, Command& chosen) {
  auto what = std::make_shared<std::string>();
  CLI::App* sub = app.add_subcommand("list", "List systems, losses or recipes");
  sub->add_option("what", *what, "systems, losses or recipes; default: all")
      ->check(CLI::IsMember({"systems", "losses", "recipes"}));
  auto markdown = std::make_shared<bool>(false);
  sub->add_flag("--markdown", *markdown, "As a table for a document: systems or losses");
  sub->callback([what, markdown, &chosen] {
    chosen = [what, markdown](World& world) { return list(world, *what, *markdown); };
  });
}

}  // namespace saddle
