// What a training run is told: the common keys, and those of its system, resolved from defaults, recipe and
// flags.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "models/system.h"

namespace saddle {

struct TrainOptions {
  std::string system;
  std::string data;  // a folder, or NAME=FOLDER,NAME=FOLDER: see open_data.h
  std::string order = "global";
  int64_t window = 4096;
  int64_t mix = 16;
  std::string label = "label";
  std::string weights;
  int64_t labels = 0;
  double label_noise = 0;
  double verify = 1;
  std::string on_bad = "stop";
  std::string stage;
  std::string cache = "auto";
  int64_t subset = 0;
  double held_out = 0;
  int64_t stack = 1;
  int64_t frames = 0;
  int64_t stride = 1;
  int64_t clip_steps = 0;
  bool mirror = false;
  std::string crop;
  int64_t batch = 64;
  int64_t seed = 0;
  int64_t steps = 1000;
  int64_t accumulate = 1;
  std::string precision = "float32";
  bool tf32 = false;
  bool channels_last = false;
  bool cuda_graphs = false;
  double clip = 0;
  std::string nonfinite = "stop";
  double bucket_mib = 0;
  std::string wire = "float32";
  double watch_timeout = 60;
  std::string watch_interface;
  int64_t digest_every = 100;
  std::string device = "auto";
  int64_t threads = 0;
  int64_t loader_threads = 1;
  int64_t loader_prefetch = 4;
  int64_t loader_readahead = 8;
  int64_t tick_every = 20;
  int64_t sample_every = 500;
  int64_t checkpoint_every = 500;
  int64_t checkpoint_keep = 3;
  int64_t checkpoint_milestones = 0;
  std::string checkpoint_best;
  std::string checkpoint_best_is = "auto";
  bool checkpoint_async = true;
  std::string checkpoint_on_error = "warn";
  int64_t metrics_every = 0;
  std::string metrics_names;
  int64_t metrics_samples = 2000;
  int64_t tournament_every = 1000;
  std::string tournament_metric = "critic";
  int64_t tournament_samples = 1024;
};

// A resolved run. The table points into the rest: not to be copied or moved.
struct Run {
  TrainOptions options;
  OptionTable table;
  std::function<System(const Schema&, Context)> build;

  Run() = default;
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  // Resolves defaults < `document` (a recipe or options.toml; `where` names it) < `sets` ("key=value", from
  // --set).
  void resolve(const std::string& document, const std::string& where, const std::vector<std::string>& sets);
  torch::ScalarType dtype() const;  // of weights
  Context context(const Comm& comm) const;
};

// Every key of every system, once.
std::vector<std::string> all_keys();

struct Recipe {
  std::string name, about, text;  // `about` is its first comment
};
// The recipes of launch/recipes, built into the program.
const std::vector<Recipe>& recipes();
// The text of the recipe at a path or with a built-in name. Exit::usage names the nearest recipe, says what
// lies at the path instead, or that file and built-in recipe have the same name.
std::string find_recipe(const std::string& name_or_path);

}  // namespace saddle
