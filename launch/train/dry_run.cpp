#include "launch/train/dry_run.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "data/store/index.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/utf8.h"
#include "launch/commands.h"
#include "launch/evaluate/preview.h"
#include "launch/run/open_data.h"
#include "launch/train/init_from.h"
#include "launch/train/resume.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

std::string line(const std::string& about, const std::string& text) {
  return fmt::format("{:<12} {}\n", about, printable(text));
}

// Of a classifier how many are known.
std::string labels_line(const Schema& schema, const System& system, const Dataset& data) {
  const int64_t needed = system.classes();
  if (tells_classes(system))
    return fmt::format("learned: {} classes, of {} of {} samples", schema["label"].classes,
                       known_labels(data), data.size());
  const bool there = schema.has("label");
  const std::string classes = there ? fmt::format("{} classes", schema["label"].classes) : "none there";
  return needed > 0 ? "needed: " + classes : "not needed: " + classes;
}

// "32", or "21 or 22" where the ranks do not divide it.
std::string share_text(int64_t batch, int64_t ranks) {
  const int64_t least = batch / ranks;
  return batch % ranks == 0 ? std::to_string(least) : fmt::format("{} or {}", least, least + 1);
}

std::string ranks_line(const TrainOptions& o, int trainers, int64_t ranks, const std::string& device) {
  std::string text = fmt::format("{}{}", ranks, device.empty() ? "" : " on " + device);
  if (trainers > 1) text = fmt::format("{} trainers of {}", trainers, text);
  text +=
      fmt::format("; a batch of {} is {} samples a rank", o.batch, share_text(o.batch / o.accumulate, ranks));
  return o.accumulate == 1 ? text : text + fmt::format(", {} times a step", o.accumulate);
}

std::string number_text(double value) {
  return value < 100 ? fmt::format("{:.3g}", value) : fmt::format("{:.0f}", value);
}

std::string length_line(const Prepared& prepared) {
  const TrainOptions& o = prepared.plan.run.options;
  const double samples =
      static_cast<double>(o.steps) * prepared.trainer->batches_a_step() * static_cast<double>(o.batch);
  std::vector<std::string> epochs;
  for (const Feed& feed : prepared.feeds)
    epochs.push_back(number_text(samples / static_cast<double>(feed.data->size())));
  return fmt::format("{} steps of {:.3g} batch{}: {:.0f} samples, {} epochs", o.steps,
                     prepared.trainer->batches_a_step(), prepared.trainer->batches_a_step() == 1 ? "" : "es",
                     samples, fmt::join(epochs, " and "));
}

std::string memory_line(Trainer& trainer) {
  const auto state = static_cast<double>(trainer.state_bytes()),
             gradients = static_cast<double>(trainer.gradient_bytes());
  return fmt::format(
      "{} a rank for weights, moments and averages, {} for gradients; activations come on top: `saddle "
      "doctor "
      "--recipe` measures a step",
      text_of_bytes(state), text_of_bytes(gradients));
}

// Where the folder would be made, if it is not there.
fs::path nearest_existing(fs::path path) {
  path = fs::absolute(path);
  while (!fs::exists(path) && path.has_relative_path()) path = path.parent_path();
  return path;
}

// Tries it, and leaves nothing behind.
void require_writable(const std::string& out) {
  const fs::path there = nearest_existing(out);
  std::string trial = (there / ".saddle-dry-run-XXXXXX").string();
  require(fs::is_directory(there) && mkdtemp(trial.data()) != nullptr && rmdir(trial.c_str()) == 0, Exit::io,
          "cannot make the run folder '{}': '{}' is not a folder that may be written to", out,
          there.string());
}

std::string out_line(const std::string& out) {
  if (out.empty()) return "no --out: the training needs one";
  return fmt::format("'{}', {}", out, trainers_of(out) > 0 ? "which holds a run" : "free");
}

std::string resume_line(const Prepared& prepared, const std::optional<Checkpoint>& checkpoint) {
  if (!checkpoint) return "there is no checkpoint in --out: the training starts at step 0";
  const int64_t steps = prepared.plan.run.options.steps;
  return fmt::format("the training goes on from step {} of {}{}", checkpoint->step, steps,
                     checkpoint->step >= steps ? ": nothing is left to do" : "");
}

std::string changed_lines(const OptionTable& table) {
  std::string text;
  for (const auto& option : table.options())
    if (option.key != "data.folder" && option.key != "system" && text_of(option) != option.standard)
      text += line(text.empty() ? "changed" : "",
                   fmt::format("{} = {} (default {})", option.key, text_of(option), option.standard));
  return text;
}

// The rest of what the training would refuse; the checkpoint that it would go on from.
std::optional<Checkpoint> try_start(Prepared& prepared) {
  const Plan& plan = prepared.plan;
  const Comm& all = prepared.teams.all;
  all.together([&] {
    if (all.rank() == 0 && !plan.flags.out.empty()) require_writable(plan.flags.out);
  });
  std::optional<Checkpoint> checkpoint;
  if (plan.flags.resume) checkpoint = load_checkpoint(prepared.teams.host, prepared.folder.checkpoints());
  nlohmann::json facts = about(plan.run, schema_of(prepared.feeds), prepared.data->fingerprint());
  all.together([&] {
    if (checkpoint) require_same_run(*checkpoint, plan, facts);
  });
  if (!checkpoint && !plan.flags.init_from.empty())
    init_from(all, prepared.trainer->system(), plan.flags.init_from, plan.flags.init_from_step);
  return checkpoint;
}

}  // namespace

std::string proof(Prepared& prepared, int64_t ranks, const std::string& device) {
  const Plan& plan = prepared.plan;
  const TrainOptions& o = plan.run.options;
  System& system = prepared.trainer->system();
  const Schema schema = schema_of(prepared.feeds);
  const std::optional<Checkpoint> checkpoint = try_start(prepared);
  std::string text =
      line("system", fmt::format("{}: {}", o.system, system_entry(o.system).about)) +
      line("data", fmt::format("{}: {} samples of {}", o.data, prepared.data->size(), describe(schema))) +
      line("labels", labels_line(schema, system, *prepared.feeds.front().data)) +
      line("nets", system.summary()) +
      line("ranks", ranks_line(o, plan.flags.trainers, ranks / plan.flags.trainers, device)) +
      line("length", length_line(prepared)) + line("memory", memory_line(*prepared.trainer)) +
      line("out", out_line(plan.flags.out));
  if (plan.flags.resume) text += line("resume", resume_line(prepared, checkpoint));
  text += changed_lines(plan.run.table);
  for (const std::string& doubt : doubts(prepared, !checkpoint)) text += line("warning", doubt);
  return text;
}

void validate_train(const std::vector<std::string>& arguments) {
  const Plan plan(parse_train_flags(arguments));
  require_places(plan);
  for (const NamedFolder& part : parse_data(plan.run.options.data)) read_index(part.folder);
}

std::string prove_train(std::vector<std::string> arguments, int64_t ranks) {
  arguments.emplace_back("--dry-run");
  Plan plan(parse_train_flags(arguments));
  require_places(plan);
  require_equal_teams(ranks, plan.flags.trainers);
  const Comm alone = World::alone();
  const Teams teams{
      .count = plan.flags.trainers, .mine = 0, .all = alone, .host = alone, .comm = alone, .across = alone};
  Prepared prepared = prepare(plan, teams);
  return proof(prepared, ranks, "");
}

}  // namespace saddle
