// saddle list: what there is to choose from.
#include <iostream>

#include "launch/commands.h"
#include "launch/train_options.h"
#include "losses/adversarial.h"

namespace saddle {
namespace {

std::string list_systems() {
  std::string text;
  for (const SystemEntry& entry : systems()) text += fmt::format("{:<16} {}\n", entry.name, entry.about);
  return text;
}

std::string list_losses() {
  std::string text;
  for (const AdversarialLoss& loss : adversarial_losses())
    text += fmt::format("{:<16} {}  ({})\n", loss.name, loss.formula, loss.source);
  return text;
}

std::string list_recipes() {
  std::string text;
  for (const Recipe& recipe : recipes()) text += fmt::format("{:<16} {}\n", recipe.name, recipe.about);
  return text;
}

int list(World& world, const std::string& what) {
  if (world.rank() != 0) return 0;
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
  sub->callback([what, &chosen] { chosen = [what](World& world) { return list(world, *what); }; });
}

}  // namespace saddle
