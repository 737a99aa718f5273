// saddle checkpoints: what a run can go on from, and whether it is whole.
#include <filesystem>
#include <iostream>

#include "dist/error.h"
#include "dist/file.h"
#include "dist/launcher.h"
#include "dist/utf8.h"
#include "launch/commands.h"
#include "launch/flags.h"
#include "launch/run/choose_step.h"
#include "launch/run/run_folder.h"
#include "launch/train/teams.h"

namespace saddle {
namespace {

using nlohmann::json;

struct CheckpointsOptions {
  std::string run, step;
  bool verify = false, json = false;
};

// The run's, or each trainer's.
std::vector<std::string> run_folders(const std::string& run) {
  if (std::filesystem::exists(RunFolder(run).checkpoints())) return {run};
  std::vector<std::string> out;
  for (int trainer = 0;; ++trainer) {
    const std::string folder = trainer_folder(run, trainer, /*trainers=*/2);
    if (!std::filesystem::exists(RunFolder(folder).checkpoints())) break;
    out.push_back(folder);
  }
  require(!out.empty(), Exit::usage,
          "'{}' holds no run (no checkpoints/): pass the folder given to `saddle train --out`", run);
  return out;
}

std::string state_of(const Published& checkpoint, bool verified) {
  if (!checkpoint.damage.empty()) return "damaged";
  return verified ? "whole" : "complete";
}

bool is_best(const Published& checkpoint, const std::vector<Published>& all) {
  return best_step(all) == checkpoint.step;
}

// The number that checkpoint.best names, as the log has it; scores are lower for better checkpoints.
std::string score_of(const json& manifest) {
  const json score = manifest.value("score", json());
  if (!score.is_number()) return "";
  const json& about = manifest.at("about");
  const json options = about.is_object() ? about.value("options", json::object()) : json::object();
  const bool highest = options.value("checkpoint.best_is", "").find("highest") != std::string::npos;
  return fmt::format("{:.4g}", highest ? -score.get<double>() : score.get<double>());
}

json to_json(const Published& checkpoint, const std::vector<Published>& all, bool verified) {
  json out = checkpoint.manifest.is_null() ? json::object() : checkpoint.manifest;
  out.erase("numbers");
  out["step"] = checkpoint.step;
  out["folder"] = checkpoint.folder;
  out["bytes"] = checkpoint.bytes;
  out["state"] = state_of(checkpoint, verified);
  out["best"] = is_best(checkpoint, all);
  if (!checkpoint.damage.empty()) out["damage"] = checkpoint.damage;
  return out;
}

void print_table(const std::vector<Published>& found, bool verified) {
  fmt::print("{:>10}  {:<20}  {:>5}  {:>7}  {:>11}  {:>10}  {}\n", "step", "saved", "ranks", "tensors",
             "size", "score", "state");
  for (const Published& each : found) {
    const json manifest = each.manifest.is_null() ? json::object() : each.manifest;
    const auto number = [&](const char* name) {
      return manifest.contains(name) ? fmt::format("{}", manifest[name].get<int64_t>()) : "";
    };
    fmt::print("{:>10}  {:<20}  {:>5}  {:>7}  {:>11}  {:>10}  {}\n", each.step,
               printable(manifest.value("time", "")), number("world_size"), number("tensors"),
               text_of_bytes(double(each.bytes)), score_of(manifest),
               state_of(each, verified) + (each.damage.empty() ? "" : ": " + printable(each.damage)) +
                   (is_best(each, found) ? ", best" : ""));
  }
}

void print_json(const json& value) {
  fmt::print("{}\n", printable_json(value.dump(1, ' ', false, json::error_handler_t::replace)));
}

int64_t newest_undamaged(const std::vector<Published>& found) {
  int64_t step = -1;
  for (const Published& each : found)
    if (each.damage.empty()) step = each.step;
  return step;
}

void print_run(const std::string& run, const std::vector<Published>& found, bool verified) {
  fmt::print("{}\n", printable(RunFolder(run).checkpoints()));
  if (found.empty())
    fmt::print("no checkpoint yet\n");
  else
    print_table(found, verified);
  if (const int64_t step = newest_undamaged(found); step >= 0)
    fmt::print("--resume goes on from step {}{}\n", step,
               verified ? "" : " if it is whole; --verify reads and compares every byte");
  for (const std::string& path : leftovers(RunFolder(run).checkpoints()))
    fmt::print("{}: of a save or removal that goes on or was killed; the next run removes it\n",
               printable(path));
}

int list(const CheckpointsOptions& options) {
  bool sound = true;
  json out = json::array();
  for (const std::string& run : run_folders(options.run)) {
    const std::string folder = RunFolder(run).checkpoints();
    const std::vector<Published> found = list_checkpoints(folder, options.verify);
    for (const Published& each : found) sound = sound && each.damage.empty();
    sound = sound && !found.empty();
    if (!options.json) {
      print_run(run, found, options.verify);
      continue;
    }
    json checkpoints = json::array();
    for (const Published& each : found) checkpoints.push_back(to_json(each, found, options.verify));
    const int64_t step = newest_undamaged(found);
    out.push_back({{"run", run},
                   {"checkpoints", checkpoints},
                   {"resumes_from", step < 0 ? json() : json(step)},
                   {"leftovers", leftovers(folder)}});
  }
  if (options.json) print_json(out);
  return sound ? 0 : int(Exit::data);
}

// All that is in one checkpoint, but for the numbers in its tensors.
json contents(const Checkpoint& checkpoint) {
  json tensors = json::array();
  for (const auto& [name, tensor] : checkpoint.state.tensors)
    tensors.push_back(
        {{"name", name}, {"dtype", c10::toString(tensor.scalar_type())}, {"shape", tensor.sizes().vec()}});
  return {{"step", checkpoint.step},
          {"folder", checkpoint.folder},
          {"about", checkpoint.about},
          {"tensors", tensors},
          {"numbers", checkpoint.state.numbers}};
}

void print_contents(const Checkpoint& checkpoint) {
  fmt::print("{}\n", printable(checkpoint.folder));
  for (const auto& [part, value] : checkpoint.about.items())
    if (part == "options" || part == "versions")
      for (const auto& [key, text] : value.items())
        fmt::print("  {:<10} {:<24} {}\n", part, printable(key), printable(text.get<std::string>()));
    else
      fmt::print("  {:<10} {}\n", printable(part),
                 printable(value.is_string() ? value.get<std::string>() : value.dump()));
  for (const auto& [name, tensor] : checkpoint.state.tensors)
    fmt::print("  {:<10} {:<48} {:<9} {}\n", "tensor", printable(name), c10::toString(tensor.scalar_type()),
               json(tensor.sizes().vec()).dump());
  for (const auto& [name, number] : checkpoint.state.numbers)
    fmt::print("  {:<10} {:<48} {}\n", "number", printable(name), json(number).dump());
}

int inspect(const CheckpointsOptions& options) {
  json out = json::array();
  for (const std::string& run : run_folders(options.run)) {
    const std::string folder = RunFolder(run).checkpoints();
    const auto checkpoint = load_chosen(World::alone(), folder, options.step);
    require(checkpoint.has_value(), Exit::data, "'{}' holds no checkpoint yet", folder);
    if (options.json)
      out.push_back(contents(*checkpoint));
    else
      print_contents(*checkpoint);
  }
  if (options.json) print_json(out);
  return 0;
}

}  // namespace

void add_checkpoints(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<CheckpointsOptions>();
  CLI::App* sub = app.add_subcommand(
      "checkpoints", "List what a run can go on from; status 65 if there is none or one is damaged");
  sub->add_option("RUN", options->run, "Run folder, also of several trainers")->required();
  CLI::Option* verify = sub->add_flag(
      "--verify", options->verify, "Read them whole, as a resume would; else only manifests and sizes count");
  add_step(sub, options->step, "--step",
           "Show what is in the one of this step, or in the `best`: options, versions, tensors, numbers")
      ->excludes(verify);
  sub->add_flag("--json", options->json, "Print JSON, an object for each trainer");
  sub->callback([options, &chosen] {
    chosen = Plain([options] {
      if (!launcher().first()) return 0;
      return !options->step.empty() ? inspect(*options) : list(*options);
    });
  });
}

}  // namespace saddle
