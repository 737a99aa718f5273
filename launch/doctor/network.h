// How the ranks talk: first collectives, every pair of ranks, clocks. `check_` asks all ranks (collective);
// the judgements are pure.
#pragma once

#include "dist/ping.h"
#include "launch/doctor/report.h"

namespace saddle::doctor {

// Also over NCCL, where `world.comm(device)` takes it.
Lines check_collectives(World& world, const Comm& comm, const std::string& device);
Lines check_links(const Comm& comm, bool quick);
Lines check_clocks(const Comm& comm);

// Links within a host are compared with each other, and so are those between hosts: one that has less than a
// quarter of the median's bandwidth, or ten times its round trip and more than a millisecond, is an outlier.
// Fewer than three of a kind are not judged.
Lines verdict_on_links(const std::vector<Link>& links, const std::vector<std::string>& hosts);

// Seconds ahead of rank 0, by rank. Over one second, the times in logs and of files on shared storage
// contradict each other, and tickets and certificates of the site begin to be refused.
Verdict verdict_on_clocks(const std::vector<double>& offsets, const std::vector<std::string>& hosts);

}  // namespace saddle::doctor
