// What the ranks run on: the program and its libraries, cores, devices, limits, shared memory, memory.
// `check_` asks all ranks (collective); the judgements are pure.
#pragma once

#include "launch/doctor/report.h"

namespace saddle::doctor {

Lines check_program(const Comm& comm);
// `threads` a rank, 0 for its share of the cores; `device` as in the options.
Lines check_cores(const Comm& comm, int64_t threads);  // cores.cpp
Lines check_devices(const Comm& comm, const std::string& device);
// `files` that the data set keeps open.
Lines check_limits(const Comm& comm, int64_t files);
Lines check_shared_memory(const Comm& comm);  // shared_memory.cpp
// `available`: bytes that this rank may use beyond what it does.
Lines check_memory(const Comm& comm, int64_t& available);  // memory.cpp

// "CUDA 13.0, NCCL 2.28.9 (built with 2.28.9)": false if the loaded NCCL is of another major version than the
// header.
bool same_nccl(const std::string& versions);

// The cores of one rank.
struct Binding {
  std::string host;
  std::vector<int> cores;  // it may use
  int64_t online = 0;      // of the host
  int64_t threads = 0;     // that it will compute with
  double quota = 0;        // cores' worth of time its cgroup allows; 0: no limit
};
// By rank. About the worst off host: more threads than cores, or cores that nobody uses.
Verdict verdict_on_binding(const std::vector<Binding>& ranks);

struct Devices {
  std::string host;
  int64_t local_rank = 0;
  int64_t count = 0;     // in sight
  bool file = false;     // the driver's device file is there
  std::string why = {};  // none is usable
};
Verdict verdict_on_devices(const std::vector<Devices>& ranks, const std::string& device);

// Files in `folder` by which ranks of a host talked (OpenMPI's and NCCL's), this user's, old ones that no
// process has mapped any more: a job that was killed with its launcher leaves them.
std::vector<std::string> abandoned_segments(const std::string& folder);

// One rank's memory in bytes; ranks of one host and cgroup share it.
struct Memory {
  std::string host, cgroup;
  int64_t host_available = 0;
  int64_t cgroup_available = INT64_MAX;
  int64_t address_space = INT64_MAX;  // left under ulimit -v; the rank's alone
};
std::vector<int64_t> share_of_memory(const std::vector<Memory>& ranks);

}  // namespace saddle::doctor
