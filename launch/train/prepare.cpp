#include "launch/train/prepare.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "dist/error.h"
#include "dist/file.h"
#include "dist/flight.h"
#include "dist/utf8.h"
#include "launch/run/open_data.h"
#include "launch/run/stopping.h"
#include "launch/train/reported.h"
#include "launch/train/session.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

int trainers_meant(const TrainFlags& flags) {
  if (flags.trainers > 0) return flags.trainers;
  return flags.recipe.empty() && !flags.out.empty() ? std::max(1, trainers_of(flags.out)) : 1;
}

std::vector<std::string> sets_of(const TrainFlags& flags) {
  std::vector<std::string> sets = flags.sets;
  if (flags.steps > 0) sets.push_back(fmt::format("steps={}", flags.steps));
  if (!flags.data.empty()) sets.push_back("data=" + data_text(flags.data));
  if (!flags.stage.empty()) sets.push_back("data.stage=" + escape_bytes(fs::absolute(flags.stage).string()));
  if (!flags.on_bad.empty()) sets.push_back("data.on_bad=" + flags.on_bad);
  return sets;
}

void resolve(Run& run, const TrainFlags& flags) {
  const bool same = flags.recipe.empty();
  require(!same || flags.resume, Exit::usage,
          "name a recipe: `saddle train RECIPE --data DIR --out RUN`; `saddle list recipes` names them");
  require(!same || !flags.out.empty(), Exit::usage,
          "name the run to go on with: `saddle train --out RUN --resume`");
  const std::string saved = RunFolder(trainer_folder(flags.out, 0, flags.trainers)).options();
  require(!same || fs::exists(saved), Exit::usage,
          "nothing to resume: '{}' is not there; name a recipe to start", saved);
  if (same)
    run.resolve(read_file(saved, kMostTextBytes), saved, sets_of(flags));
  else
    run.resolve(find_recipe(flags.recipe), fmt::format("recipe '{}'", flags.recipe), sets_of(flags));
}

bool is_picture(const Field& field) {
  return (field.dtype == torch::kByte || field.dtype == torch::kUInt16) && field.shape.size() == 3;
}

int64_t parameters_of(const Net& net) {
  int64_t count = 0;
  for (const auto& [name, tensor] : net.live->parameters()) count += tensor.numel();
  return count;
}

bool convolves(const Net& net) {
  const Named parameters = net.live->parameters();
  return std::any_of(parameters.begin(), parameters.end(), [](const auto& p) { return p.second.dim() > 2; });
}

// Of pictures that large a perceptron makes little, and its first and last layers are most of it.
std::string doubt_perceptron(const Schema& schema, const std::vector<Net>& nets) {
  constexpr int64_t kLarge = 32 * 32;
  const auto large = std::find_if(schema.fields.begin(), schema.fields.end(), [](const Field& field) {
    return is_picture(field) && field.shape[1] * field.shape[2] >= kLarge;
  });
  if (large == schema.fields.end() || std::any_of(nets.begin(), nets.end(), convolves)) return "";
  std::string sizes;
  for (const Net& net : nets)
    sizes += fmt::format("{}{} of {} parameters", sizes.empty() ? "" : ", ", net.name, parameters_of(net));
  return fmt::format(
      "perceptrons ({}) are to make pictures of {}x{}x{}; recipes dcgan and cgan have convolutional nets",
      sizes, large->shape[0], large->shape[1], large->shape[2]);
}

// Keys that were set and mean nothing here.
std::vector<std::string> doubt_idle_keys(const Plan& plan) {
  const TrainOptions& o = plan.run.options;
  const struct {
    std::vector<std::string> keys;
    bool idle;
    const char* without;
  } table[] = {
      {{"data.window", "data.mix"}, o.order != "local", "data.order=local"},
      {{"data.label"}, o.order != "balanced" && o.order != "weighted", "data.order=balanced or weighted"},
      {{"checkpoint.best_is"}, o.checkpoint_best.empty(), "checkpoint.best"},
      {{"metrics.names", "metrics.samples"}, o.metrics_every == 0, "metrics.every"},
      {{"tournament.every", "tournament.metric", "tournament.samples"},
       plan.flags.trainers == 1,
       "--trainers"}};
  std::vector<std::string> said;
  for (const auto& row : table)
    for (const auto& option : plan.run.table.options())
      if (row.idle && text_of(option) != option.standard &&
          std::find(row.keys.begin(), row.keys.end(), option.key) != row.keys.end())
        said.push_back(fmt::format("{} has no effect without {}", option.key, row.without));
  return said;
}

bool is_set(const OptionTable& table, const std::string& key) {
  return std::any_of(table.options().begin(), table.options().end(), [&](const OptionTable::Option& option) {
    return option.key == key && text_of(option) != option.standard;
  });
}

}  // namespace

Plan::Plan(TrainFlags given) : flags(std::move(given)) {
  while (flags.out.size() > 1 && flags.out.ends_with('/')) flags.out.pop_back();
  flags.trainers = trainers_meant(flags);
  resolve(run, flags);
  if (!flags.max_time.empty()) max_time = parse_duration(flags.max_time, "--max-time");
  if (!flags.trace.empty()) trace = parse_trace(flags.trace);
}

std::string watch_interface(const TrainFlags& flags) try {
  return Plan(flags).run.options.watch_interface;
} catch (const std::exception&) {
  return "";
}

void require_places(const Plan& plan) {
  const TrainFlags& flags = plan.flags;
  const TrainOptions& o = plan.run.options;
  const bool there = !flags.out.empty() && trainers_of(flags.out) > 0;
  require(!o.data.empty() || !there || !flags.resume, Exit::usage,
          "no data: leave the recipe out: `saddle train --out {} --resume` goes on with the run's own "
          "options and "
          "data",
          flags.out);
  require(!o.data.empty(), Exit::usage, "no data: pass --data DIR, a folder made by `saddle pack`");
  require(!flags.out.empty() || flags.dry_run, Exit::usage, "no run folder: pass --out RUN");
  require(flags.trainers == 1 || o.checkpoint_keep > 1, Exit::usage,
          "checkpoint.keep=1 is too few for several trainers: a kill may leave one of them a checkpoint "
          "behind the others; keep 2 or more");
  require(!flags.force || flags.resume, Exit::usage,
          "--force goes with --resume: it goes on with a run although options or data differ");
  if (flags.out.empty()) return;
  require_run_place(flags.out);
  require_trainers(flags.out, flags.trainers);
  for (int trainer = 0; trainer < flags.trainers; ++trainer)
    RunFolder(trainer_folder(flags.out, trainer, flags.trainers)).require_free(flags.resume);
}

// Those that the options name, or that fit; checkpoint.best must be one of them, measured when it is saved.
void prepare_metrics(Prepared& prepared) {
  const TrainOptions& o = prepared.plan.run.options;
  MetricContext& context = prepared.context;
  context = metric_context(prepared.teams.comm, prepared.trainer->system(), prepared.plan.run);
  context.samples = o.metrics_samples;
  prepared.teams.all.together([&] {
    prepared.metrics = choose_metrics(parse_metrics(o.metrics_names), context);
    if (!o.checkpoint_best.starts_with("metrics/")) return;
    std::vector<std::string> names;
    const Metric* best = nullptr;
    for (const Metric& metric : prepared.metrics) {
      names.push_back(metric.reported());
      if (names.back() == o.checkpoint_best) best = &metric;
    }
    require(best, Exit::usage,
            "checkpoint.best = '{}' is not measured; there are {}: choose by metrics.names",
            o.checkpoint_best, fmt::join(names, ", "));
    require_comparable(*best, context);
    require(o.checkpoint_best_is == "auto" || (o.checkpoint_best_is == "highest") == best->higher_is_better,
            Exit::usage, "checkpoint.best_is = '{}' is the wrong way round for {}: leave it out",
            o.checkpoint_best_is, o.checkpoint_best);
    require(o.checkpoint_every % o.metrics_every == 0, Exit::usage,
            "checkpoint.best = '{}' wants a checkpoint where it is measured: make checkpoint.every = {} a "
            "multiple of metrics.every = {}",
            o.checkpoint_best, o.checkpoint_every, o.metrics_every);
  });
}

Prepared prepare(Plan& plan, const Teams& teams) {
  TrainOptions& options = plan.run.options;
  Prepared made{.plan = plan,
                .teams = teams,
                .seed = static_cast<uint64_t>(options.seed),
                .folder = RunFolder(trainer_folder(plan.flags.out, teams.mine, teams.count)),
                .feeds = {},
                .data = nullptr,
                .trainer = nullptr,
                .metrics = {},
                .context = {}};
  options.seed += teams.mine;
  TrainOptions reading = options;
  if (plan.flags.dry_run) reading.stage.clear();
  if (plan.flags.dry_run && reading.cache == "auto") reading.cache = "none";
  made.feeds = open_feeds(teams.all, reading);
  made.data = side_by_side(made.feeds);
  const flight::Doing doing("set-up", kSetup * options.watch_timeout);
  teams.all.together([&] {
    if (teams.all.rank() == 0) require_reported(plan.run, schema_of(made.feeds));
  });
  teams.all.together([&] { made.trainer = std::make_unique<Trainer>(plan.run, teams.comm, made.feeds); });
  if (options.metrics_every > 0) prepare_metrics(made);
  teams.all.together([&] {
    if (teams.count > 1) find_metric(options.tournament_metric);
  });
  return made;
}

std::vector<std::string> doubts(const Prepared& prepared, bool fresh) {
  const Plan& plan = prepared.plan;
  const TrainOptions& o = plan.run.options;
  std::vector<std::string> said = doubt_idle_keys(plan);
  if (o.batch > prepared.data->size())
    said.push_back(
        fmt::format("a batch of {} is larger than the data set of {} samples, which come several times in it",
                    o.batch, prepared.data->size()));
  const Dataset& data = *prepared.feeds.front().data;
  if (o.labels > 0 && known_labels(data) < o.labels * data.schema()["label"].classes)
    said.push_back(
        fmt::format("data.labels = {}, and some of {} classes have fewer samples: {} labels are known",
                    o.labels, data.schema()["label"].classes, known_labels(data)));
  if (fresh && plan.flags.init_from.empty() && is_set(plan.run.table, "d.freeze"))
    said.push_back(
        "d.freeze keeps layers of d as they were drawn at random: it is meant for weights that are taken "
        "over "
        "by --init-from RUN");
  if (const std::string doubt = doubt_perceptron(prepared.data->schema(), prepared.trainer->system().nets());
      !doubt.empty())
    said.push_back(doubt);
  return said;
}

}  // namespace saddle
