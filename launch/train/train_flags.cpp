#include "launch/train/train_flags.h"

#include <CLI/CLI.hpp>

#include "dist/error.h"
#include "launch/flags.h"
#include "launch/usage.h"

namespace saddle {

void describe(CLI::App* sub, TrainFlags& flags) {
  sub->add_option(
      "recipe", flags.recipe,
      "Recipe: a TOML file or a built-in name (`saddle list recipes`); may be left out with --resume");
  sub->add_option("--data", flags.data,
                  "Data set: a folder made by `saddle pack`; or NAME=DIR, repeatable, for unpaired domains: "
                  "the field image of each is then called NAME, others NAME_<field>")
      ->allow_extra_args(false);  // so that a recipe may follow it
  sub->add_option("--stage", flags.stage,
                  "Folder on a disk of each host to which its ranks copy the data first, or find the copy of "
                  "an earlier run");
  sub->add_option("--on-bad", flags.on_bad,
                  "What a sample or shard that cannot be read does: stop the run (default), or skip: another "
                  "sample stands in for it, the same on all ranks")
      ->check(CLI::IsMember({"stop", "skip"}));
  sub->add_option("--out", flags.out,
                  "Run folder, made if missing: options.toml, log.jsonl, samples/, checkpoints/");
  sub->add_option("--set", flags.sets,
                  "key=value, overriding the recipe; repeatable. --dry-run lists the keys")
      ->take_all();
  sub->add_option("--steps", flags.steps, "Length of the training in generator steps (default: the recipe's)")
      ->check(CLI::PositiveNumber);
  sub->add_option(
         "--trainers", flags.trainers,
         "Several trainers, each with its share of the ranks, its seed (seed + 0, 1, ...) and its run folder "
         "OUT/trainer-0, ...; they exchange generators and keep the better ones (keys tournament.*)")
      ->check(CLI::Range(1, 1 << 20));
  sub->add_flag("--resume", flags.resume,
                "Go on from the newest whole checkpoint in --out, or start if there is none");
  sub->add_flag("--force", flags.force,
                "With --resume: go on although options or data differ from the checkpoint's; it is recorded");
  sub->add_option("--max-time", flags.max_time,
                  "Such as 30m, 12h or D-HH:MM:SS: save and stop with status 75 before this time is over");
  CLI::Option* init_from = sub->add_option(
      "--init-from", flags.init_from,
      "Start from the weights of another run's newest checkpoint, or of a file of `saddle export`, "
      "where names and shapes are the same; a resumed run goes on with its own");
  add_step(sub, flags.init_from_step, "--init-from-step",
           "Of the run that --init-from names: the checkpoint of this step, or `best` (default: the newest)")
      ->needs(init_from);
  sub->add_option(
      "--trace", flags.trace,
      "steps=FROM:UNTIL: write what all ranks did in these steps to RUN/trace.json, a Chrome trace");
  sub->add_flag(
      "--dry-run", flags.dry_run,
      "Start nothing: with --data, say what would be trained on how many ranks, or refuse it as the "
      "training would; without, explain all keys, as TOML");
}

TrainFlags parse_train_flags(const std::vector<std::string>& arguments) {
  TrainFlags flags;
  CLI::App app("", "saddle train");
  describe(&app, flags);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& e) {
    fail(Exit::usage, "{}", usage_error(app, e, arguments));
  }
  return flags;
}

}  // namespace saddle
