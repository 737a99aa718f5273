#include "launch/doctor/host.h"

#include <sys/resource.h>

#include <algorithm>
#include <map>

#include "dist/file.h"
#include "dist/kernel.h"

namespace saddle::doctor {
namespace {

using nlohmann::json;

constexpr double kLimit = 30;  // seconds for what asks only the kernel
constexpr int64_t kMiB = int64_t{1} << 20;

// Left in the tightest of the cgroups around this process; the page cache counts as free.
int64_t cgroup_available(std::string path) {
  int64_t least = INT64_MAX;
  for (;; path = path.substr(0, path.rfind('/'))) {
    const std::string folder = "/sys/fs/cgroup" + path;
    const int64_t most = number_in(folder + "/memory.max"), used = number_in(folder + "/memory.current");
    if (most >= 0 && used >= 0)
      least =
          std::min(least, most - used + std::max<int64_t>(0, number_after(folder + "/memory.stat", "file")));
    if (path.empty()) break;
  }
  const std::string v1 = "/sys/fs/cgroup/memory/memory.";
  const int64_t most = number_in(v1 + "limit_in_bytes"), used = number_in(v1 + "usage_in_bytes");
  if (most >= 0 && used >= 0 && most < (int64_t{1} << 60))
    least = std::min(least, most - used + std::max<int64_t>(0, number_after(v1 + "stat", "total_cache")));
  return least;
}

int64_t address_space_left() {
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  if (limit.rlim_cur == RLIM_INFINITY) return INT64_MAX;
  return int64_t(limit.rlim_cur) - 1024 * number_after("/proc/self/status", "VmSize:");
}

Memory memory_of(const Answer& a) {
  return {.host = a.host,
          .cgroup = a.facts.at("cgroup"),
          .host_available = a.facts.at("host_available"),
          .cgroup_available = a.facts.at("cgroup_available"),
          .address_space = a.facts.at("address_space")};
}

std::string describe(const Memory& m, int64_t share) {
  std::string text = fmt::format("{} for a rank; {} available on the host", text_of_bytes(double(share)),
                                 text_of_bytes(double(m.host_available)));
  if (m.cgroup_available != INT64_MAX)
    text += fmt::format(", {} under the cgroup's limit", text_of_bytes(double(m.cgroup_available)));
  if (m.address_space != INT64_MAX)
    text += fmt::format(", {} of address space under ulimit -v", text_of_bytes(double(m.address_space)));
  return text;
}

}  // namespace

std::vector<int64_t> share_of_memory(const std::vector<Memory>& ranks) {
  std::map<std::string, int64_t> on_host;
  std::map<std::pair<std::string, std::string>, int64_t> in_cgroup;
  for (const Memory& m : ranks) {
    ++on_host[m.host];
    ++in_cgroup[{m.host, m.cgroup}];
  }
  std::vector<int64_t> shares;
  for (const Memory& m : ranks) {
    const int64_t limited =
        m.cgroup_available == INT64_MAX ? INT64_MAX : m.cgroup_available / in_cgroup[{m.host, m.cgroup}];
    shares.push_back(
        std::max<int64_t>(0, std::min({m.host_available / on_host[m.host], limited, m.address_space})));
  }
  return shares;
}

Lines check_memory(const Comm& comm, int64_t& available) {
  const Answers answers = ask(comm, "memory", kLimit, []() -> json {
    return {{"cgroup", cgroup()},
            {"host_available", 1024 * number_after("/proc/meminfo", "MemAvailable:")},
            {"cgroup_available", cgroup_available(cgroup())},
            {"address_space", address_space_left()}};
  });
  std::vector<Memory> ranks;
  for (const Answer& a : answers)
    ranks.push_back(a.error.empty() ? memory_of(a) : Memory{.host = a.host, .cgroup = {}});
  const std::vector<int64_t> shares = share_of_memory(ranks);
  available = shares[size_t(comm.rank())];
  return all("memory", answers, "", [&](const Answers&) -> Verdict {
    const size_t least = size_t(std::min_element(shares.begin(), shares.end()) - shares.begin());
    const std::string found =
        fmt::format("{}{}", shares.size() > 1 ? "at least " : "", describe(ranks[least], shares[least]));
    if (shares[least] >= 512 * kMiB) return {Status::ok, found};
    return {Status::warning, fmt::format("{}: {}", name_ranks({int(least)}, hosts_of(answers)), found),
            "start fewer ranks a host, ask the scheduler for more (srun --mem), or raise ulimit -v"};
  });
}

}  // namespace saddle::doctor
