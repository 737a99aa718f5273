// The TCP ports that a job opens: who may knock, and which doors ask for nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "launch/doctor/report.h"

namespace saddle::doctor {

// Collective. After the ranks have met through MPI, and NCCL where there are GPUs.
Lines check_ports(const World& world, const Comm& comm);

// Where this process listens, "127.0.0.1:4711" or "[::]:4711"; Linux.
std::vector<std::string> listening();

// Of all ranks. `doors`: where rank 0 let the watchdogs in.
Verdict verdict_on_ports(const std::vector<std::vector<std::string>>& ports,
                         const std::vector<std::string>& doors, const std::vector<std::string>& hosts);

}  // namespace saddle::doctor
