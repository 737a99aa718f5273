#include "launch/run/train_options.h"

#include <algorithm>
#include <filesystem>

#include "data/store/index.h"
#include "dist/error.h"
#include "dist/file.h"
#include "launch/run/other_words.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDataKey = "data.folder";

// A key that TOML cannot have beside data.order was the data's before; options of older runs say it.
std::string today(const std::string& key, const std::string& system) {
  if (key == "data") return kDataKey;
  if (key == "penalty" && (system == "wgan-gp" || system == "dragan"))
    return system == "dragan" ? "dragan" : "gp";
  if (key == "penalty_every" && system == "wgan-gp") return "gp.every";
  return key;
}

void describe_data(OptionTable& table, TrainOptions& o) {
  const OptionTable::Group group(table, "data");
  table.add(kDataKey, o.data, "folder made by `saddle pack`, or several: NAME=FOLDER,NAME=FOLDER");
  table.add("data.order", o.order,
            "of samples: shuffled globally, or within blocks for slow storage; every class equally often; "
            "classes by data.weights; as packed",
            {"global", "local", "balanced", "weighted", "sequential"});
  table.add("data.window", o.window, "order local: neighbours that are read together", {1, 1e12, "samples"});
  table.add("data.mix", o.mix, "order local: blocks of data.window that are shuffled together", {1, 1e9});
  table.add("data.label", o.label, "the field whose classes orders balanced and weighted count");
  table.add("data.weights", o.weights, "order weighted: of each class, such as 1,1,2.5");
  table.add("data.labels", o.labels,
            "for classifiers of few labels: of each class only so many are known, chosen by the seed; 0: all",
            {0, 1e9, "samples"});
  table.add("data.label_noise", o.label_noise,
            "for classifiers of few labels: share of the known labels that are made wrong, for experiments",
            {0, 1});
  table.add("data.verify", o.verify, "share of the samples whose checksums are compared", {0, 1});
  table.add("data.on_bad", o.on_bad,
            "a sample or shard that cannot be read: ends the run, or another sample stands in for it",
            {"stop", "skip"});
  table.add("data.stage", o.stage, "folder on a disk of each host to copy the data to first; empty: none");
  table.add("data.cache", o.cache,
            "hold all data in the memory of each rank; auto: up to 1 GiB and a quarter of what is free",
            {"auto", "none", "memory"});
  table.add("data.subset", o.subset, "train on only so many samples, chosen by the seed; 0: all",
            {0, 1e12, "samples"});
  table.add("data.held_out", o.held_out, "share of the samples kept for evaluation, the same for every seed",
            {0, 0.9});
  table.add("data.stack", o.stack,
            "so many grey pictures become the channels of one, as of stacked MNIST; 1: none",
            {1, 64, "pictures"});
  table.add("data.frames", o.frames, "so many consecutive samples become one, as frames of a video; 0: none",
            {0, 1e6, "samples"});
  table.add("data.stride", o.stride, "data.frames: from the start of one to the start of the next",
            {1, 1e6, "samples"});
  table.add("data.clip", o.clip_steps,
            "of fields of variable length so many steps, beginning anywhere; 0: all", {0, 1e9, "steps"});
  table.add("data.mirror", o.mirror, "swap left and right of every other picture at random");
  table.add("data.crop", o.crop,
            "HEIGHTxWIDTH of a part at a random place, or one number; empty: whole pictures");
}

void describe_steps(OptionTable& table, TrainOptions& o) {
  const OptionTable::Group group(table, "training");
  table.add("batch", o.batch, "samples a step over all ranks", {1, 1 << 20, "samples"});
  table.add("accumulate", o.accumulate, "parts of the batch that go through the nets one after another",
            {1, 1 << 20, "parts"});
  table.add("steps", o.steps, "length of the training, in steps of the generator", {1, 1e12, "steps"});
  table.add("seed", o.seed, "of weights, order, latents: all that is random", {0, 1e15});
  table.add("clip", o.clip, "largest L2 norm of a player's gradient; 0: any", {0, 1e12});
  table.add("nonfinite", o.nonfinite, "a step whose gradient is not finite: ends the run, or is skipped",
            {"stop", "skip"});
  table.add("precision", o.precision, "of the nets' arithmetic; weights are float64 or else float32",
            {"float32", "float64", "bfloat16", "float16"});
  table.add("tf32", o.tf32, "allow TensorFloat-32 in float32 products on CUDA");
  table.add("channels_last", o.channels_last, "memory format of images in convolutional nets");
  table.add(
      "cuda_graphs", o.cuda_graphs,
      "capture each phase's step on CUDA; phases that cannot be captured run without, and the log says why");
}

void describe_watch(OptionTable& table, TrainOptions& o) {
  const OptionTable::Group group(table, "ranks, devices and what watches over them");
  table.add("device", o.device, "auto: CUDA if every rank has a GPU", {"auto", "cpu", "cuda"});
  table.add("threads", o.threads, "compute threads a rank; 0: its share of the cores", {0, 4096});
  table.add("reduce.bucket_mib", o.bucket_mib, "gradients reduced at once; 0: by the size of the net",
            {0, 4096, "MiB"});
  table.add("reduce.wire", o.wire, "how float32 gradients travel", {"float32", "bfloat16", "float16"});
  table.add("watch.timeout", o.watch_timeout, "without progress or a sign of life, then the job ends",
            {1, 1e6, "seconds"});
  table.add(
      "watch.interface", o.watch_interface,
      "network on which the ranks' watchdogs meet, such as eth0 or an address of the first host; empty: "
      "those that lead to the other hosts");
  table.add("digest.every", o.digest_every, "a check that all ranks hold the same state; 0: never",
            {0, 1e9, "steps"});
}

void describe_loader(OptionTable& table, TrainOptions& o) {
  const OptionTable::Group group(table, "reading");
  table.add("loader.threads", o.loader_threads, "threads that read data, a rank", {1, 256});
  table.add("loader.prefetch", o.loader_prefetch, "batches held ready, a rank", {1, 1e4, "batches"});
  table.add("loader.readahead", o.loader_readahead,
            "batches beyond those that slow storage is asked to fetch; 0: none", {0, 1e4, "batches"});
}

void describe_reports(OptionTable& table, TrainOptions& o) {
  const OptionTable::Group group(table, "what a run writes");
  table.add("tick.every", o.tick_every, "a line of progress and of log.jsonl", {1, 1e9, "steps"});
  table.add("sample.every", o.sample_every, "a picture in samples/; 0: only at the end", {0, 1e9, "steps"});
}

void describe_checkpoints(OptionTable& table, TrainOptions& o) {
  const OptionTable::Group group(table, "checkpoints");
  table.add("checkpoint.every", o.checkpoint_every, "a checkpoint; 0: only at the end", {0, 1e9, "steps"});
  table.add("checkpoint.keep", o.checkpoint_keep, "newest checkpoints kept", {1, 1e6, "checkpoints"});
  table.add("checkpoint.milestones", o.checkpoint_milestones,
            "checkpoints at multiples of it are kept too; 0: none", {0, 1e12, "steps"});
  table.add("checkpoint.best", o.checkpoint_best,
            "number of log.jsonl, such as metrics/fd or loss/G, by whose value before it the best checkpoint "
            "is kept too; empty: "
            "none");
  table.add(
      "checkpoint.best_is", o.checkpoint_best_is,
      "which value of checkpoint.best is best; auto: of a metric as `saddle list metrics` says, of other "
      "numbers the lowest",
      {"auto", "lowest", "highest"});
  table.add("checkpoint.async", o.checkpoint_async,
            "write while training goes on, from a copy of each rank's share of the state in its memory");
  table.add("checkpoint.on_error", o.checkpoint_on_error,
            "a checkpoint that cannot be saved (full disk): go on, status 74 if it was the last one; or end",
            {"warn", "stop"});
}

void describe_metrics(OptionTable& table, TrainOptions& o) {
  const OptionTable::Group group(table, "metrics while training");
  table.add("metrics.every", o.metrics_every, "measures samples, for log.jsonl and checkpoint.best; 0: never",
            {0, 1e9, "steps"});
  table.add("metrics.names", o.metrics_names,
            "such as fd,agreement; empty: those that fit of `saddle list metrics`");
  table.add("metrics.samples", o.metrics_samples, "measured each time", {2, 1e7, "samples"});
}

void describe_tournament(OptionTable& table, TrainOptions& o) {
  const OptionTable::Group group(table, "several trainers (--trainers)");
  table.add("tournament.every", o.tournament_every, "with --trainers: a round of their tournament",
            {1, 1e9, "steps"});
  table.add("tournament.metric", o.tournament_metric,
            "with --trainers: chooses among generators: critic, the own discriminator, or another metric of "
            "`saddle list metrics`");
  table.add("tournament.samples", o.tournament_samples, "with --trainers: judged of each, in whole batches",
            {2, 1e7, "samples"});
}

// What lies where a recipe was looked for, and what to do.
std::string instead_of_recipe(const std::string& path, const std::vector<std::string>& names) {
  const std::string options = (fs::path(path) / "options.toml").string();
  if (fs::exists(options))
    return fmt::format(
        "that is the folder of a run: `saddle train --out {} --resume` goes on with it, '{}' is its recipe",
        path, options);
  if (has_index(path))
    return fmt::format("that is a data set: `saddle train RECIPE --data {} --out RUN`", path);
  if (fs::exists(path) && !fs::is_regular_file(path) && !fs::is_directory(path))
    return "expected a file, found a pipe, device or socket";
  return fmt::format("it is neither a file nor a built-in one{}; `saddle list recipes` names them",
                     did_you_mean(path, names));
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string chosen_system(const Pairs& pairs, const std::string& where) {
  for (const auto& [key, value] : pairs)
    if (key == "system") return value;
  fail(Exit::usage, "{} names no system: add a line such as system = \"dcgan\"", where);
}

Pairs split(const std::vector<std::string>& sets) {
  Pairs pairs;
  for (const std::string& text : sets) {
    const size_t equals = text.find('=');
    require(equals != std::string::npos && equals > 0, Exit::usage,
            "--set expects key=value without spaces, found '{}'; the recipe comes before all flags", text);
    pairs.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return pairs;
}

}  // namespace

void Run::resolve(const std::string& document, const std::string& where,
                  const std::vector<std::string>& sets) {
  const Pairs recipe = parse_toml(document, where), flags = split(sets);
  for (const auto& [key, value] : flags)
    require(key != "system", Exit::usage,
            "--set system=...: the system is the recipe's: train another recipe (`saddle list recipes`)");
  const SystemEntry& entry = system_entry(chosen_system(recipe, where));
  {
    const OptionTable::Group group(table, entry.name + ": " + entry.about + " (" + entry.paper + ")");
    options.system = entry.name;
    table.add("system", options.system, "see `saddle list systems`");
    build = entry.open(table);
  }
  for (const auto describe : {describe_steps, describe_data, describe_loader, describe_reports,
                              describe_checkpoints, describe_metrics, describe_watch, describe_tournament})
    describe(table, options);
  const auto set = [&](const std::string& key, const std::string& value, const std::string& by) {
    if (!table.has(key))
      fail(Exit::usage, "{}: unknown key '{}' of {}{}; `saddle train RECIPE --dry-run` explains the keys", by,
           key, entry.name, meant_key(key, table));
    table.set(key, value, by);
  };
  for (const auto& [key, value] : recipe) set(today(key, entry.name), value, where);
  for (const auto& [key, value] : flags) set(today(key, entry.name), value, "--set");
}

torch::ScalarType Run::dtype() const {
  return options.precision == "float64" ? torch::kDouble : torch::kFloat;
}

Context Run::context(const Comm& comm) const {
  const auto type = [](const std::string& name) {
    return name == "bfloat16"  ? torch::kBFloat16
           : name == "float16" ? torch::kHalf
           : name == "float64" ? torch::kDouble
                               : torch::kFloat;
  };
  return {.comm = comm,
          .seed = static_cast<uint64_t>(options.seed),
          .dtype = dtype(),
          .arithmetic = type(options.precision),
          .channels_last = options.channels_last,
          .reduction = {.bytes = static_cast<int64_t>(options.bucket_mib * (1 << 20)),
                        .wire = type(options.wire)},
          .part = options.batch / options.accumulate,
          .parts = options.accumulate,
          .steps = options.steps};
}

std::vector<std::string> all_keys() {
  std::vector<std::string> keys;
  for (const SystemEntry& entry : systems()) {
    Run run;
    run.resolve(fmt::format("system = \"{}\"", entry.name), entry.file, {});
    for (const auto& option : run.table.options())
      if (std::find(keys.begin(), keys.end(), option.key) == keys.end()) keys.push_back(option.key);
  }
  return keys;
}

std::string find_recipe(const std::string& name_or_path) {
  std::vector<std::string> names;
  for (const Recipe& recipe : recipes()) names.push_back(recipe.name);
  const auto named = std::find(names.begin(), names.end(), name_or_path);
  const bool file = fs::is_regular_file(name_or_path);
  require(
      !file || named == names.end(), Exit::usage,
      "there are two recipes '{0}': a built-in one, and a file here; pass ./{0} for the file, or rename it",
      name_or_path);
  if (file) return read_file(name_or_path, kMostTextBytes);
  if (named != names.end()) return recipes()[static_cast<size_t>(named - names.begin())].text;
  fail(Exit::usage, "no recipe '{}': {}", name_or_path, instead_of_recipe(name_or_path, names));
}

}  // namespace saddle
