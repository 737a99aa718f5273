#include "launch/train/tournament.h"

#include <algorithm>
#include <numeric>
#include <sstream>

#include "dist/error.h"
#include "dist/file.h"
#include "dist/flight.h"
#include "dist/log.h"

namespace saddle {
namespace {

using nlohmann::json;

torch::Tensor bytes_of(const torch::Tensor& tensor) {
  return tensor.cpu().contiguous().view(-1).view(torch::kByte);
}

State copy_of(const State& state) {
  State copy = state;
  for (auto& [name, tensor] : copy.tensors) tensor = tensor.clone();
  return copy;
}

std::string verdict(int a, bool a_takes, int b, bool b_takes) {
  if (a_takes && b_takes) return "each takes the other's generator";
  if (a_takes) return fmt::format("{} takes {}'s generator", a, b);
  if (b_takes) return fmt::format("{} takes {}'s generator", b, a);
  return "both keep their generators";
}

}  // namespace

std::vector<int> matching(uint64_t seed, int64_t round, int trainers) {
  const torch::Tensor keys =
      uniform({seed, "tournament", static_cast<uint64_t>(round)}, {0, trainers}, {}, torch::kDouble);
  std::vector<int> order(trainers), partners(trainers);
  std::iota(order.begin(), order.end(), 0);
  std::iota(partners.begin(), partners.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return keys[a].item<double>() < keys[b].item<double>(); });
  for (int i = 0; i + 1 < trainers; i += 2) {
    partners[order[i]] = order[i + 1];
    partners[order[i + 1]] = order[i];
  }
  return partners;
}

State state_of(const Comm& comm, int root, const State& mine) {
  std::vector<torch::Tensor> pieces;
  for (const auto& [name, tensor] : mine.tensors) pieces.push_back(bytes_of(tensor));
  const torch::Tensor bytes = torch::cat(pieces);
  comm.broadcast(bytes, root, "generator");
  State state;
  int64_t at = 0;
  for (const auto& [name, tensor] : mine.tensors) {
    const auto size = static_cast<int64_t>(tensor.nbytes());
    state.tensors[name] =
        bytes.narrow(0, at, size).clone().view(tensor.scalar_type()).reshape(tensor.sizes());
    at += size;
  }
  state.numbers =
      json::parse(comm.broadcast_text(json(mine.numbers).dump(), root)).get<std::map<std::string, json>>();
  return state;
}

Tournament::Tournament(const Teams& teams, System& system, Measurement measurement, Options options)
    : teams_(teams),
      system_(system),
      measurement_(std::move(measurement)),
      options_(options),
      nets_(system.generator()) {}

std::unique_ptr<Tournament> make_tournament(const Teams& teams, System& system, const Run& run,
                                            uint64_t seed) {
  const TrainOptions& options = run.options;
  // Whole batches: a discriminator may compare the samples of one.
  const int64_t samples = (options.tournament_samples + options.batch - 1) / options.batch * options.batch;
  std::vector<Metric> metrics;
  MetricContext context = metric_context(teams.comm, system, run);
  context.samples = samples;
  teams.host.together([&] {
    metrics = choose_metrics({find_metric(options.tournament_metric).name}, context);
    require_comparable(metrics.front(), context);
  });
  return std::make_unique<Tournament>(teams, system, Measurement(std::move(metrics), std::move(context)),
                                      Tournament::Options{.every = options.tournament_every, .seed = seed});
}

State Tournament::generator() {
  return collect([this](StateVisitor& v) { system_.visit(v, nets_); });
}

void Tournament::become(const State& state) {
  restore([this](StateVisitor& v) { system_.visit(v, nets_); }, state);
}

Drawing Tournament::drawing(const std::string& purpose, int64_t round) const {
  return measurement_.drawing(Stream(options_.seed, purpose, static_cast<uint64_t>(round)).key);
}

double Tournament::score(const State& generator, const Drawing& drawing) {
  become(generator);
  // One rank's, for all to decide alike.
  const double value = metric().value(measurement_(system_, drawing));
  return std::stod(teams_.host.broadcast_text(fmt::format("{}", value)));
}

Tournament::Round Tournament::play(int64_t step) {
  Round round{
      .number = step / options_.every, .partner = teams_.mine, .own = 0, .partners = 0, .takes = false};
  const std::vector<int> partners = matching(options_.seed, round.number, teams_.count);
  round.partner = partners[teams_.mine];
  const Comm pair = teams_.across.split(std::min(teams_.mine, round.partner));
  if (round.partner != teams_.mine) {
    const State mine = copy_of(generator());
    const State first = state_of(pair, 0, mine), second = state_of(pair, 1, mine);
    const State& other = pair.rank() == 0 ? second : first;
    const Drawing latents = drawing("tournament latents", round.number);
    round.own = score(mine, latents);
    round.partners = score(other, latents);
    round.takes = metric().better(round.partners, round.own);
    if (!round.takes) become(mine);
  }
  announce(step, round, partners);
  return round;
}

void Tournament::announce(int64_t step, const Round& round, const std::vector<int>& partners) const {
  const auto all =
      teams_.across.all_gather_text(fmt::format("{} {:.4g}", int{round.takes}, round.own), "scores");
  const auto score = [&](int trainer) { return all[trainer].substr(2); };
  const auto takes = [&](int trainer) { return all[trainer][0] == '1'; };
  for (int a = 0; a < teams_.count; ++a) {
    const int b = partners[a];
    if (a == b)
      log::info("tournament round {} at step {}: trainer {} sits out", round.number, step, a);
    else if (a < b)
      log::info("tournament round {} at step {}: trainer {} ({}) against {} ({}): {}", round.number, step, a,
                score(a), b, score(b), verdict(a, takes(a), b, takes(b)));
  }
}

Tournament::Standing Tournament::standing() {
  const State mine = copy_of(generator());
  const Drawing latents = drawing("tournament standing", 0);
  torch::Tensor scores = torch::zeros({teams_.count}, torch::kDouble);
  for (int t = 0; t < teams_.count; ++t) scores[t] = score(state_of(teams_.across, t, mine), latents);
  become(mine);
  teams_.across.all_reduce(scores, Reduce::average, "standing");
  Standing made{.best = 0, .scores = {}};
  for (int t = 0; t < teams_.count; ++t) {
    made.scores.push_back(scores[t].item<double>());
    if (metric().better(made.scores[t], made.scores[made.best])) made.best = t;
  }
  return made;
}

json to_json(const Tournament::Round& round, const Teams& teams) {
  if (round.partner == teams.mine) return {{"round", round.number}, {"partner", nullptr}};
  return {{"round", round.number},
          {"partner", round.partner},
          {"own", round.own},
          {"partners", round.partners},
          {"takes", round.takes}};
}

void conclude(Tournament& tournament, const Teams& teams, const std::string& out, int64_t step) {
  const flight::Doing doing("standing");
  const auto [best, scores] = tournament.standing();
  const std::string& metric = tournament.metric().name;
  teams.all.together([&, best = best, &scores = scores] {
    if (teams.all.rank() == 0)
      write_file(tournament_file(out), json{{"trainers", teams.count},
                                            {"step", step},
                                            {"metric", metric},
                                            {"scores", scores},
                                            {"best", best}}
                                               .dump(1) +
                                           "\n");
  });
  log::info("the best of {} trainers is {} ({} {:.4g}): '{}'", teams.count, best, metric, scores[best],
            trainer_folder(out, best, teams.count));
}

}  // namespace saddle
