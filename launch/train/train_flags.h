// What is said to `saddle train` on its command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace saddle {

struct TrainFlags {
  std::string recipe, out, trace, stage, on_bad, max_time, init_from, init_from_step;
  std::vector<std::string> data, sets;
  int64_t steps = 0;
  int trainers = 0;  // 0: one, or without a recipe as many as the run in --out has
  bool resume = false, force = false, dry_run = false;
};

// Describes them to CLI11; `flags` must outlive `sub`.
void describe(CLI::App* sub, TrainFlags& flags);
// Exit::usage says what `saddle train` would refuse.
TrainFlags parse_train_flags(const std::vector<std::string>& arguments);

}  // namespace saddle
