// saddle list: what there is to choose from.
#include <iostream>

#include "launch/commands.h"
#include "launch/train_options.h"
#include "losses/adversarial.h"

namespace saddle {
namespace {

int list(World& world, const std::string& what) {
  if (world.rank() != 0) return 0;
  if (what == "systems")
    for (const SystemEntry& entry : systems())
      std::cout << fmt::format("{:<16} {}\n", entry.name, entry.about);
  else if (what == "losses")
    for (const AdversarialLoss& loss : adversarial_losses())
      std::cout << fmt::format("{:<16} {}  ({})\n", loss.name, loss.formula, loss.source);
  else
    for (const Recipe& recipe : recipes()) std::cout << fmt::format("{:<16} {}\n", recipe.name, recipe.about);
  return 0;
}

}  // namespace

void add_list(CLI::App& app, Command& chosen) {
  auto what = std::make_shared<std::string>();
  CLI::App* sub = app.add_subcommand("list", "List systems, losses or recipes");
  sub->add_option("what", *what, "systems, losses or recipes")
      ->required()
      ->check(CLI::IsMember({"systems", "losses", "recipes"}));
  sub->callback([what, &chosen] { chosen = [what](World& world) { return list(world, *what); }; });
}

}  // namespace saddle
