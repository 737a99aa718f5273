#include "launch/train/teams.h"

#include <algorithm>
#include <filesystem>

#include "dist/error.h"
#include "dist/file.h"
#include "dist/json.h"
#include "dist/log.h"
#include "launch/run/run_folder.h"

namespace saddle {

using nlohmann::json;

constexpr int64_t kMostTrainers = 1 << 20;

void require_equal_teams(int64_t ranks, int trainers) {
  require(ranks % trainers == 0, Exit::usage,
          "{} rank{} do not divide among {} trainers: start a multiple of {} ranks, under mpirun or srun",
          ranks, ranks == 1 ? "" : "s", trainers, trainers);
}

Teams divide(const Comm& host, const Comm& comm, int trainers) {
  host.together([&] { require_equal_teams(host.size(), trainers); });
  if (trainers == 1)
    return {.count = 1, .mine = 0, .all = host, .host = host, .comm = comm, .across = World::alone()};
  const int size = host.size() / trainers, mine = host.rank() / size;
  const Comm team = host.split(mine);
  return {.count = trainers,
          .mine = mine,
          .all = host,
          .host = team,
          .comm = comm.device().is_cpu() ? team : comm.split(mine),
          .across = host.split(host.rank() % size)};
}

namespace {

int trainers_said(const json& standing, const std::string& path) try {
  const int64_t trainers = integer_at(standing, "trainers");
  require(trainers > 0 && trainers <= kMostTrainers, Exit::data, "trainers: expected 1 to {}, found {}",
          kMostTrainers, trainers);
  return static_cast<int>(trainers);
} catch (const Error& error) {
  fail(error.kind, "'{}': {}; restore it, or choose another --out", path, error.what());
}

}  // namespace

std::string trainer_folder(const std::string& out, int trainer, int trainers) {
  return trainers == 1 ? out : fmt::format("{}/trainer-{}", out, trainer);
}

std::string tournament_file(const std::string& out) {
  return out + "/tournament.json";
}

int trainers_of(const std::string& out) {
  if (const std::string path = tournament_file(out); std::filesystem::exists(path)) {
    constexpr int64_t kMost = int64_t{1} << 20;
    return trainers_said(read_json(path, kMost), path);
  }
  return std::filesystem::exists(RunFolder(out).options()) ? 1 : 0;
}

void require_trainers(const std::string& out, int trainers) {
  const int there = trainers_of(out);
  require(there == 0 || there == trainers, Exit::usage,
          "'{}' holds a run of {} trainer{}, this is one of {}: pass --trainers {}, or choose another --out",
          out, there, there == 1 ? "" : "s", trainers, there);
}

void claim_folder(const std::string& out, int trainers) {
  require_trainers(out, trainers);
  if (trainers == 1 || trainers_of(out) == trainers) return;
  std::error_code error;
  std::filesystem::create_directories(out, error);
  require(!error, Exit::io, "cannot make the run folder '{}': {}", out, error.message());
  write_file(tournament_file(out), json{{"trainers", trainers}}.dump(1) + "\n");
}

std::optional<Checkpoint> load_common_checkpoint(const Teams& teams, const std::string& folder) {
  if (teams.count == 1) return load_checkpoint(teams.host, folder);
  for (int64_t until = INT64_MAX;;) {
    std::optional<Checkpoint> found = load_checkpoint(teams.host, folder, until);
    std::vector<int64_t> steps;
    for (const std::string& text : teams.across.all_gather_text(std::to_string(found ? found->step : -1)))
      steps.push_back(std::stoll(text));
    const auto ends = std::minmax_element(steps.begin(), steps.end());
    const auto oldest = ends.first, newest = ends.second;
    if (*oldest == *newest) {
      teams.all.together([&] {
        if (found && teams.host.rank() == 0) remove_checkpoints_after(folder, found->step);
      });
      return found;
    }
    teams.all.together([&] {
      require(*oldest >= 0 || until == INT64_MAX, Exit::data,
              "the trainers hold no whole checkpoint of the same step: trainer {} has none up to step {}; "
              "restore one, or start again in another folder",
              oldest - steps.begin(), until);
    });
    log::info(
        "trainer {} holds its newest whole checkpoint at step {}, trainer {} at step {}: all go on from {}",
        newest - steps.begin(), *newest, oldest - steps.begin(), *oldest,
        *oldest < 0 ? "the start" : "a step that they have in common");
    if (*oldest < 0) return std::nullopt;
    until = *oldest;
  }
}

}  // namespace saddle
