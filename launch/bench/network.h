// What an all-reduce costs on a network, by latencies and bandwidths: of known machines, or as measured.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace saddle::bench {

struct Level {
  double hop = 0;        // seconds from rank to rank
  double bandwidth = 1;  // bus bandwidth of an all-reduce, bytes a second
};

struct Network {
  std::string name;
  std::string source;     // of its numbers
  int per_node = 1;       // ranks
  double call = 0;        // seconds, whatever the ranks and bytes
  Level inside, between;  // nodes

  // Seconds of an all-reduce: the better of a ring (2(n-1) hops, of which 2(nodes-1) between nodes, and
  // 2(n-1)/n of the bytes) and a tree (2(per_node-1) + 2 log2(nodes) hops, 0.92 of the ring's bandwidth).
  double all_reduce(int ranks, int64_t bytes) const;
  std::string toml() const;
};

const std::vector<Network>& networks();
// A preset, or a file that `bench comm --out` wrote. Exit::usage names the presets.
Network find_network(const std::string& name_or_path);

}  // namespace saddle::bench
