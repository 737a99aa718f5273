#include "launch/bench/network.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "dist/error.h"
#include "dist/file.h"
#include "models/options.h"

namespace saddle::bench {
namespace {

constexpr double kUs = 1e-6, kGB = 1e9, kTreeShare = 0.92;

}  // namespace

double Network::all_reduce(int ranks, int64_t bytes) const {
  if (ranks < 2) return 0;
  const int nodes = (ranks + per_node - 1) / per_node, local = std::min(ranks, per_node);
  const double moved = 2.0 * (ranks - 1) / ranks * static_cast<double>(bytes) /
                       (nodes > 1 ? std::min(between.bandwidth, inside.bandwidth) : inside.bandwidth);
  const double far = 2.0 * (nodes - 1), near = 2.0 * (ranks - 1) - far;
  const double ring = near * inside.hop + far * between.hop + moved;
  const double tree =
      2.0 * (local - 1) * inside.hop + 2.0 * std::ceil(std::log2(nodes)) * between.hop + moved / kTreeShare;
  return call + std::min(ring, tree);
}

std::string Network::toml() const {
  return fmt::format(
      "# {}\nname = \"{}\"\nper_node = {}\ncall_us = {:.3f}\n\n[inside]\nhop_us = {:.3f}\nGB_s = {:.6g}\n\n"
      "[between]\nhop_us = {:.3f}\nGB_s = {:.6g}\n",
      source, name, per_node, call / kUs, inside.hop / kUs, inside.bandwidth / kGB, between.hop / kUs,
      between.bandwidth / kGB);
}

// Latencies are those of NCCL's own tuning table (src/graph/tuning.cc, ring, Simple protocol), but for the 14
// us between hosts: the higher of the figures quoted for it.
const std::vector<Network>& networks() {
  static const std::vector<Network> all{
      {.name = "h100",
       .source =
           "8 H100 a node: NVLink with NVLS 480 GB/s of bus bandwidth, 370 GB/s by rings; 400 Gb/s a GPU",
       .per_node = 8,
       .call = 8.4 * kUs,
       .inside = {3.4 * kUs, 480 * kGB},
       .between = {14 * kUs, 370 * kGB}},
      {.name = "a100",
       .source = "8 A100 a node: NVLink 230 GB/s of bus bandwidth; 200 Gb/s a GPU",
       .per_node = 8,
       .call = 8.4 * kUs,
       .inside = {3.4 * kUs, 230 * kGB},
       .between = {14 * kUs, 200 * kGB}},
      {.name = "ethernet25",
       .source = "4 GPUs a node on PCIe, 20 GB/s of bus bandwidth, sharing one 25 Gb/s Ethernet port",
       .per_node = 4,
       .call = 8.4 * kUs,
       .inside = {5.7 * kUs, 20 * kGB},
       .between = {14 * kUs, 3.125 * kGB}},
  };
  return all;
}

Network find_network(const std::string& name_or_path) {
  std::vector<std::string> names;
  for (const Network& network : networks()) {
    if (network.name == name_or_path) return network;
    names.push_back(network.name);
  }
  require(std::filesystem::is_regular_file(name_or_path), Exit::usage,
          "no network '{}': it is neither a file that `saddle bench comm --out` wrote nor one of {}",
          name_or_path, fmt::join(names, ", "));
  std::map<std::string, std::string> values;
  for (const auto& [key, value] : parse_toml(read_file(name_or_path, kMostTextBytes), name_or_path))
    values[key] = value;
  const auto number = [&](const std::string& key) {
    require(values.contains(key), Exit::usage, "{} has no '{}': write it with `saddle bench comm --out`",
            name_or_path, key);
    const double value = std::stod(values[key]);
    require(value >= 0 && std::isfinite(value), Exit::usage, "{}: '{}' is {}, expected 0 or more",
            name_or_path, key, values[key]);
    return value;
  };
  return {.name = values["name"],
          .source = name_or_path,
          .per_node = std::max(1, static_cast<int>(number("per_node"))),
          .call = number("call_us") * kUs,
          .inside = {number("inside.hop_us") * kUs, std::max(1.0, number("inside.GB_s") * kGB)},
          .between = {number("between.hop_us") * kUs, std::max(1.0, number("between.GB_s") * kGB)}};
}

}  // namespace saddle::bench
