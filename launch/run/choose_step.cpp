#include "launch/run/choose_step.h"

#include "dist/error.h"

namespace saddle {
namespace {

std::string steps_of(const std::vector<Published>& found) {
  std::vector<int64_t> steps;
  for (const Published& each : found) steps.push_back(each.step);
  return fmt::format("{}", fmt::join(steps, ", "));
}

int64_t chosen_step(const std::string& folder, const std::string& which) {
  const std::vector<Published> found = list_checkpoints(folder, /*verify=*/false);
  if (found.empty()) return -1;
  const std::optional<int64_t> best = best_step(found);
  require(
      which != "best" || best, Exit::data,
      "no checkpoint in '{}' is marked as best: a run keeps one with --set checkpoint.best=loss/G or another "
      "number of its log.jsonl; there are steps {}",
      folder, steps_of(found));
  if (which == "best") return *best;
  for (const Published& each : found)
    if (each.step == std::stoll(which)) return each.step;
  fail(Exit::data, "there is no checkpoint of step {} in '{}': there are steps {}", which, folder,
       steps_of(found));
}

}  // namespace

std::optional<int64_t> best_step(const std::vector<Published>& found) {
  std::optional<double> lowest;
  std::optional<int64_t> best;
  for (const Published& each : found) {
    if (each.manifest.is_null()) continue;
    const auto score = each.manifest.value("score", nlohmann::json());
    if (!score.is_number() || (lowest && score.get<double>() > *lowest)) continue;
    lowest = score.get<double>();
    best = each.step;
  }
  return best;
}

std::optional<Checkpoint> load_chosen(const Comm& comm, const std::string& folder, const std::string& which) {
  if (which.empty()) return load_checkpoint(comm, folder);
  int64_t step = 0;
  comm.together([&] {
    if (comm.rank() == 0) step = chosen_step(folder, which);
  });
  step = std::stoll(comm.broadcast_text(std::to_string(step)));
  std::optional<Checkpoint> checkpoint = load_checkpoint(comm, folder, step);
  comm.together([&] {
    require(step < 0 || (checkpoint && checkpoint->step == step), Exit::data,
            "the checkpoint of step {} in '{}' is damaged: `saddle checkpoints RUN --verify` says how", step,
            folder);
  });
  return checkpoint;
}

}  // namespace saddle
