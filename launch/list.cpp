// saddle list: what there is to choose from.
#include <fmt/ranges.h>

#include <iostream>

#include "dist/error.h"
#include "launch/commands.h"
#include "launch/evaluate/metric.h"
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

std::string list_metrics() {
  std::string text;
  for (const Metric& metric : metrics()) text += fmt::format("{:<16} {}\n", metric.name, metric.about);
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

std::string metrics_in_markdown() {
  std::vector<std::vector<std::string>> rows;
  for (const Metric& metric : metrics())
    rows.push_back({fmt::format("`{}`", metric.name), metric.about, fmt::format("`{}`", metric.key),
                    metric.higher_is_better ? "higher" : "lower"});
  return table({"metric", "measures", "compared by", "better"}, rows);
}

struct Listing {
  std::string name;
  std::string (*text)();
  std::string (*markdown)();  // null: none
};
const Listing kListings[] = {{"recipes", list_recipes, nullptr},
                             {"systems", list_systems, systems_in_markdown},
                             {"losses", list_losses, losses_in_markdown},
                             {"metrics", list_metrics, metrics_in_markdown}};

int list(World& world, const std::string& what, bool markdown) {
  if (world.rank() != 0) return 0;
  std::string text;
  for (const Listing& listing : kListings) {
    if (!what.empty() && what != listing.name) continue;
    require(!markdown || (listing.markdown && !what.empty()), Exit::usage,
            "--markdown is for `saddle list systems`, `losses` and `metrics`");
    if (what.empty()) text += fmt::format("{}{}\n", text.empty() ? "" : "\n", listing.name);
    text += markdown ? listing.markdown() : listing.text();
  }
  std::cout << text;
  return 0;
}

}  // namespace

void add_list(CLI::App& app, Command& chosen) {
  auto what = std::make_shared<std::string>();
  std::vector<std::string> names;
  for (const Listing& listing : kListings) names.push_back(listing.name);
  CLI::App* sub = app.add_subcommand("list", "List recipes, systems, losses or metrics");
  sub->add_option("what", *what, "recipes, systems, losses or metrics; default: all")
      ->check(CLI::IsMember(names));
  auto markdown = std::make_shared<bool>(false);
  sub->add_flag("--markdown", *markdown, "As a table for a document");
  sub->callback([what, markdown, &chosen] {
    chosen = [what, markdown](World& world) { return list(world, *what, *markdown); };
  });
}

}  // namespace saddle
