#include "launch/bench/step.h"

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "dist/error.h"

namespace saddle::bench {
namespace {

using nlohmann::json;

// "D backward" -> the part of phase "D".
double* part_of(StepSplit& step, const std::string& name) {
  static const std::pair<const char*, double Split::*> kParts[] = {{" forward", &Split::forward},
                                                                   {" backward", &Split::backward},
                                                                   {" wait", &Split::exposed},
                                                                   {" optimizer", &Split::optimizer}};
  for (const auto& [ending, part] : kParts)
    if (name.ends_with(ending))
      return &(step.phases[name.substr(0, name.size() - std::string(ending).size())].*part);
  return nullptr;
}

// The phase in whose backward pass a reduction was entered.
std::string phase_of(const Collective& c) {
  return c.doing.substr(0, c.doing.rfind(' '));
}

// The reduction that a span of the communication lane belongs to.
const Collective* reduction_of(const RecordedStep& step, const trace::Event& event) {
  for (const Collective& c : step.collectives)
    if (event.lane == trace::Lane::communication && c.overlaps() && c.name == event.name &&
        event.begin >= c.entered && event.begin <= c.left)
      return &c;
  return nullptr;
}

json to_json(const Split& s) {
  return {{"forward", s.forward},     {"backward", s.backward},           {"exposed", s.exposed},
          {"optimizer", s.optimizer}, {"communication", s.communication}, {"hidden", s.hidden()}};
}

json to_json(const StepSplit& s) {
  json phases;
  for (const auto& [name, part] : s.phases) phases[name] = to_json(part);
  return {{"total", s.total},       {"data", s.data},          {"other", s.other()}, {"blocked", s.blocked},
          {"compute", s.compute()}, {"sum", to_json(s.sum())}, {"phases", phases}};
}

void print_row(const std::string& name, double seconds, double total) {
  fmt::print("  {:<34}{:>10.2f} ms{:>8.1f} %\n", name, seconds * 1e3, 100 * seconds / total);
}

void print_communication(const std::string& name, const Split& s) {
  fmt::print("  {:<14}{:>10.2f} ms in all, {:>8.2f} ms exposed, {:>5.1f} % hidden\n", name,
             s.communication * 1e3, s.exposed * 1e3, 100 * s.hidden());
}

void print(const Recording& recording, const StepSplit& step, const std::vector<json>& ranks) {
  const Split sum = step.sum();
  fmt::print("{}\n{:.1f} images/s, {:.2f} ms a step (medians of {} steps on rank 0{})\n", recording.about,
             static_cast<double>(recording.batch) / step.total, step.total * 1e3, recording.steps.size(),
             recording.comm.device().is_cuda() ? "; host times: the device may be behind" : "");
  print_row("data", step.data, step.total);
  for (const auto& [name, part] : step.phases) {
    print_row(name + " forward", part.forward, step.total);
    print_row(name + " backward", part.backward, step.total);
    print_row(name + " exposed communication", part.exposed, step.total);
    print_row(name + " optimizer", part.optimizer, step.total);
  }
  print_row("other", step.other(), step.total);
  if (recording.comm.device().is_cpu()) {
    fmt::print("reductions under way, from the first bucket's call to the last one's sum\n");
    for (const auto& [name, part] : step.phases) print_communication(name, part);
    print_communication("together", sum);
  }
  print_row("in collectives within the passes", step.blocked, step.total);
  const auto slower = [](const json& a, const json& b) { return a["compute"] < b["compute"]; };
  const auto slowest = std::max_element(ranks.begin(), ranks.end(), slower);
  const auto fastest = std::min_element(ranks.begin(), ranks.end(), slower);
  fmt::print("slowest rank: {}, which computes {:.2f} ms a step, the fastest {:.2f} ms\n",
             slowest - ranks.begin(), (*slowest)["compute"].get<double>() * 1e3,
             (*fastest)["compute"].get<double>() * 1e3);
}

}  // namespace

Split StepSplit::sum() const {
  Split all;
  for (const auto& [name, part] : phases)
    for (double Split::*p :
         {&Split::forward, &Split::backward, &Split::exposed, &Split::optimizer, &Split::communication})
      all.*p += part.*p;
  return all;
}

double StepSplit::other() const {
  const Split all = sum();
  return total - data - all.forward - all.backward - all.exposed - all.optimizer;
}

double StepSplit::compute() const {
  return total - sum().exposed - blocked;
}

StepSplit split(const RecordedStep& step) {
  StepSplit made;
  made.total = step.end - step.begin;
  for (const trace::Event& event : step.events) {
    if (event.lane != trace::Lane::compute) continue;
    const double seconds = event.end - event.begin;
    if (double* part = part_of(made, event.name))
      *part += seconds;
    else if (event.name == "data")
      made.data += seconds;
  }
  for (const Collective& c : step.collectives)
    if (!c.overlaps()) made.blocked += c.left - c.entered;
  double free = 0;  // until when a reduction was under way
  for (const trace::Event& event : step.events) {
    const Collective* reduction = reduction_of(step, event);
    if (!reduction) continue;
    made.phases[phase_of(*reduction)].communication += event.end - std::max(free, reduction->entered);
    free = event.end;
  }
  return made;
}

StepSplit median(const std::vector<StepSplit>& steps) {
  const auto middle = [&](auto part) {
    std::vector<double> values;
    for (const StepSplit& step : steps) values.push_back(part(step));
    return median(std::move(values));
  };
  StepSplit made;
  made.total = middle([](const StepSplit& s) { return s.total; });
  made.data = middle([](const StepSplit& s) { return s.data; });
  made.blocked = middle([](const StepSplit& s) { return s.blocked; });
  std::map<std::string, Split> phases;  // not every step has every phase
  for (const StepSplit& step : steps) phases.insert(step.phases.begin(), step.phases.end());
  for (const auto& [name, unused] : phases)
    for (double Split::*part :
         {&Split::forward, &Split::backward, &Split::exposed, &Split::optimizer, &Split::communication})
      made.phases[name].*part = middle([&, name = name](const StepSplit& s) {
        const auto found = s.phases.find(name);
        return found == s.phases.end() ? 0 : found->second.*part;
      });
  return made;
}

int bench_step(World& world, const TrainingOptions& options) {
  const Recording recording = record(world, options);
  std::vector<StepSplit> steps;
  for (const RecordedStep& step : recording.steps) steps.push_back(split(step));
  const StepSplit mine = median(steps);
  std::vector<json> ranks;
  for (const std::string& text : recording.comm.all_gather_text(to_json(mine).dump()))
    ranks.push_back(json::parse(text));
  if (recording.comm.rank() != 0) return 0;
  if (!options.json) {
    print(recording, mine, ranks);
    return 0;
  }
  const json made = {{"about", recording.about},
                     {"images_per_second", static_cast<double>(recording.batch) / mine.total},
                     {"steps", recording.steps.size()},
                     {"host_times", recording.comm.device().is_cuda()},
                     {"ranks", ranks}};
  std::cout << made.dump(1) << std::endl;
  return 0;
}

}  // namespace saddle::bench
