#include "launch/bench/scale.h"

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "dist/error.h"
#include "launch/bench/comm.h"
#include "launch/bench/network.h"

namespace saddle::bench {
namespace {

using nlohmann::json;

struct Row {
  int ranks;
  Prediction prediction;
};

// Part by part, the median over the recorded steps.
Prediction play(const std::vector<Workload>& steps, int ranks, const std::function<double(int64_t)>& cost) {
  std::vector<Prediction> played;
  for (const Workload& step : steps) played.push_back(simulate(step, ranks, cost));
  const auto middle = [&](double Prediction::*part) {
    std::vector<double> values;
    for (const Prediction& p : played) values.push_back(p.*part);
    return median(std::move(values));
  };
  return {.step = middle(&Prediction::step),
          .compute = middle(&Prediction::compute),
          .exposed = middle(&Prediction::exposed),
          .straggling = middle(&Prediction::straggling)};
}

// Collective. The present ranks' own link, at the sizes that this training reduces.
Line present_link(const Comm& comm, const std::vector<Workload>& steps) {
  int64_t largest = int64_t{1} << 16;
  for (const Pass& pass : steps.front().passes)
    for (const Pass::Entry& entry : pass.entries) largest = std::max(largest, entry.bytes);
  std::vector<Measured> points;
  for (int64_t bytes = int64_t{1} << 10; bytes <= 4 * largest; bytes *= 4)
    points.push_back(measure(comm, "all_reduce", std::min(bytes, largest), 0));
  return fit(points);
}

json to_json(const Row& row) {
  const Prediction& p = row.prediction;
  return {{"ranks", row.ranks},         {"step", p.step},
          {"compute", p.compute},       {"exposed", p.exposed},
          {"straggling", p.straggling}, {"efficiency", p.efficiency()}};
}

std::string compute_source(const ScaleOptions& o, const Comm& comm) {
  if (o.step_seconds > 0)
    return fmt::format("scaled so that a step is {} s, standing for another device's", o.step_seconds);
  if (o.compute_scale != 1)
    return fmt::format("this machine's ({}) times {}", comm.device().str(), o.compute_scale);
  return fmt::format("this machine's ({}) unless --compute-scale or --step-seconds say otherwise",
                     comm.device().str());
}

void print(const ScaleOptions& options, const Recording& recording, const Network& network,
           const std::vector<Row>& rows) {
  fmt::print("{}\nnetwork {}: {}\n", recording.about, network.name, network.source);
  fmt::print("compute: {}\n", compute_source(options, recording.comm));
  fmt::print(
      "assumed: a constant batch a rank; buckets start when they did here; one channel serves collectives in "
      "order;\n"
      "  all-reduce = ring of 2(n-1) hops or tree, {} ranks a node, hops of {:.1f} us inside and {:.1f} us "
      "between nodes,\n"
      "  {:.3g} and {:.3g} GB/s of bus bandwidth; the slowest of n ranks is jitter x sqrt(2 ln n) late;\n"
      "  no contention of other jobs, no limit of storage; medians of {} steps of rank 0\n",
      network.per_node, network.inside.hop * 1e6, network.between.hop * 1e6, network.inside.bandwidth / 1e9,
      network.between.bandwidth / 1e9, recording.steps.size());
  fmt::print("{:>7}{:>12}{:>14}{:>14}{:>16}{:>13}\n", "ranks", "step, ms", "compute, ms", "exposed, ms",
             "straggling, ms", "efficiency");
  for (const auto& [ranks, p] : rows)
    fmt::print("{:>7}{:>12.2f}{:>14.2f}{:>14.2f}{:>16.2f}{:>11.1f} %\n", ranks, p.step * 1e3, p.compute * 1e3,
               p.exposed * 1e3, p.straggling * 1e3, 100 * p.efficiency());
}

}  // namespace

double spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto last = static_cast<double>(values.size() - 1);
  return (values[static_cast<size_t>(0.84 * last)] - values[static_cast<size_t>(0.16 * last)]) / 2;
}

Workload workload(const RecordedStep& step) {
  Workload made;
  double begin = step.begin;
  auto next = step.collectives.begin();
  const auto pass_until = [&](double end) {
    Pass pass;
    double blocked = 0;
    for (; next != step.collectives.end() && next->entered < end; ++next) {
      pass.entries.push_back({next->entered - begin - blocked, next->bytes, next->overlaps()});
      if (!next->overlaps()) blocked += next->left - next->entered;
    }
    pass.seconds = end - begin - blocked;
    made.passes.push_back(std::move(pass));
  };
  for (const trace::Event& event : step.events) {
    if (event.lane != trace::Lane::compute || !event.name.ends_with(" wait")) continue;
    pass_until(event.begin);
    // What no gradient reached is entered within the wait.
    for (; next != step.collectives.end() && next->entered < event.end; ++next)
      made.passes.back().entries.push_back({made.passes.back().seconds, next->bytes, true});
    begin = event.end;
  }
  pass_until(step.end);
  return made;
}

int bench_scale(World& world, const ScaleOptions& options) {
  require(world.size() > 1, Exit::usage,
          "one rank reduces nothing: start it as `mpirun -n 2 saddle bench scale`, so that a real backward "
          "pass shows "
          "when its buckets start");
  const Comm host = world.comm("cpu");
  Network network;
  host.together([&] { network = find_network(options.net); });
  const Recording recording = record(world, options.training);
  const Comm& comm = recording.comm;

  std::vector<Workload> steps;
  std::vector<double> compute, took;
  for (const RecordedStep& step : recording.steps) {
    steps.push_back(workload(step));
    compute.push_back(steps.back().compute());
    took.push_back(step.end - step.begin);
  }
  for (Workload& step : steps) step.jitter = spread(compute);
  const Line link = present_link(comm, steps);
  const Prediction check = play(steps, comm.size(), [&](int64_t bytes) {
    return link.latency + static_cast<double>(bytes) / link.bandwidth;
  });
  const double factor =
      options.step_seconds > 0 ? options.step_seconds / median(compute) : options.compute_scale;
  for (Workload& step : steps) step = step.scaled(factor);
  std::vector<Row> rows;
  for (int n = 1; n <= options.ranks; n *= 2)
    rows.push_back({n, play(steps, n, [&](int64_t bytes) { return network.all_reduce(n, bytes); })});
  if (comm.rank() != 0) return 0;

  const double measured = median(took);
  if (options.training.json) {
    json made = {{"about", recording.about}, {"network", network.name}, {"rows", json::array()}};
    for (const Row& row : rows) made["rows"].push_back(to_json(row));
    made["check"] = to_json({comm.size(), check});
    made["check"]["measured"] = measured;
    made["check"]["link"] = {{"latency_us", link.latency * 1e6}, {"GB_s", link.bandwidth / 1e9}};
    std::cout << made.dump(1) << std::endl;
    return 0;
  }
  print(options, recording, network, rows);
  fmt::print(
      "check on the present {} ranks and their own link ({:.1f} us + bytes / {:.2f} GB/s): predicted {:.2f} "
      "ms, "
      "measured {:.2f} ms, ratio {:.3f}\n",
      comm.size(), link.latency * 1e6, link.bandwidth / 1e9, check.step * 1e3, measured * 1e3,
      check.step / measured);
  return 0;
}

}  // namespace saddle::bench
