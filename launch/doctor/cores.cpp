#include "launch/doctor/host.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "dist/kernel.h"
#include "launch/run/cores.h"

namespace saddle::doctor {
namespace {

using nlohmann::json;

constexpr double kLimit = 30;  // seconds for what asks only the kernel

// "0-3,8" of sysfs.
std::vector<int> parse_list(const std::string& text) {
  std::vector<int> numbers;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) {
    const size_t dash = part.find('-');
    const int first = std::stoi(part),
              last = dash == std::string::npos ? first : std::stoi(part.substr(dash + 1));
    for (int i = first; i <= last; ++i) numbers.push_back(i);
  }
  return numbers;
}

std::string list_text(const std::vector<int>& numbers) {
  std::string text;
  for (size_t i = 0, end = 0; i < numbers.size(); i = end) {
    for (end = i + 1; end < numbers.size() && numbers[end] == numbers[end - 1] + 1;) ++end;
    text += fmt::format("{}{}", text.empty() ? "" : ",", numbers[i]);
    if (end > i + 1) text += fmt::format("-{}", numbers[end - 1]);
  }
  return text;
}

// The CPU time that the cgroup allows, in cores; 0: no limit.
double cpu_quota(const std::string& cgroup) {
  std::istringstream v2(first_line("/sys/fs/cgroup" + cgroup + "/cpu.max"));
  double quota = 0, period = 0;
  if (v2 >> quota >> period) return quota / period;
  std::istringstream q(first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")),
      p(first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));
  return q >> quota && p >> period && quota > 0 ? quota / period : 0;
}

std::vector<int> numa_nodes(const std::vector<int>& cores) {
  std::vector<int> nodes;
  for (int node = 0; node < 1024; ++node) {
    const std::string list = first_line(fmt::format("/sys/devices/system/node/node{}/cpulist", node));
    if (list.empty()) break;
    const std::vector<int> there = parse_list(list);
    if (std::any_of(cores.begin(), cores.end(),
                    [&](int c) { return std::count(there.begin(), there.end(), c) > 0; }))
      nodes.push_back(node);
  }
  return nodes;
}

Binding binding_of(const Answer& a) {
  return {.host = a.host,
          .cores = a.facts.at("cores"),
          .online = a.facts.at("online"),
          .threads = a.facts.at("threads"),
          .quota = a.facts.at("quota")};
}

Verdict describe_binding(const json& facts, bool which) {
  const std::vector<int> cores = facts.at("cores"), nodes = facts.at("nodes");
  const int64_t threads = facts.at("threads");
  std::string found = fmt::format("{} of {} cores", cores.size(), facts.at("online").get<int64_t>());
  if (which) found += fmt::format(" ({})", list_text(cores));
  if (which && !nodes.empty())
    found += fmt::format(", NUMA node{} {}", plural(int64_t(nodes.size())), list_text(nodes));
  return {Status::ok, found + fmt::format(", {} compute thread{} a rank ({})", threads, plural(threads),
                                          facts.at("set_by").get<std::string>())};
}

}  // namespace

Verdict verdict_on_binding(const std::vector<Binding>& ranks) {
  std::vector<std::string> hosts;
  for (const Binding& b : ranks) hosts.push_back(b.host);
  Verdict worst{Status::ok, "no core has more threads than it can run"};
  for (const auto& [host, local] : by_host(hosts)) {
    std::set<int> cores;
    int64_t threads = 0, claimed = 0;
    double quota = 0;
    for (const int r : local) {
      const Binding& b = ranks[size_t(r)];
      cores.insert(b.cores.begin(), b.cores.end());
      threads += b.threads;
      claimed += int64_t(b.cores.size());
      quota = std::max(quota, b.quota);
    }
    const auto usable = int64_t(cores.size()), n = int64_t(local.size());
    const int64_t online = ranks[size_t(local[0])].online;
    const std::string of = fmt::format("{}: {} rank{} with {} compute thread{} in all", host, n, plural(n),
                                       threads, plural(threads));
    if (threads > usable)
      return {Status::warning,
              fmt::format("{} on {} of {} cores{}", of, usable, online,
                          n > 1 && claimed > usable && usable < online ? ", which they share" : ""),
              usable < online
                  ? "they take turns, slowly: mpirun --bind-to none, or --map-by ppr:N:node:pe=C for C cores "
                    "a rank; srun --cpus-per-task=C --cpu-bind=cores; or fewer --set threads"
                  : "they take turns, slowly: fewer ranks a host, or fewer --set threads"};
    if (quota > 0 && double(threads) > quota + 0.5)
      return {Status::warning,
              fmt::format("{}, but the cgroup allows {:.1f} cores' worth of time", of, quota),
              "ask for more CPUs (docker --cpus, srun --cpus-per-task), or fewer --set threads"};
    if (usable * 2 <= online && worst.status == Status::ok)
      worst = {Status::warning, fmt::format("{} use {} of {} cores; the rest idle", of, usable, online),
               "mpirun --bind-to none, or srun --cpus-per-task=C; ignore this where the host is shared with "
               "other jobs"};
  }
  return worst;
}

Lines check_cores(const Comm& comm, int64_t threads) {
  const int64_t local_size = comm.local_size();
  const Answers answers = ask(comm, "cores", kLimit, [=]() -> json {
    const std::vector<int> cores = allowed_cores();
    const int64_t online = sysconf(_SC_NPROCESSORS_ONLN), mine = int64_t(cores.size());
    const Threads compute = compute_threads(threads, fair_threads(mine, local_size));
    return {{"cores", cores},           {"online", online},         {"nodes", numa_nodes(cores)},
            {"threads", compute.count}, {"set_by", compute.set_by}, {"quota", cpu_quota(cgroup())}};
  });
  constexpr size_t kLines = 4;  // which cores it is matters only to the eye
  Lines lines = each("binding", answers, "", [](const json& facts) { return describe_binding(facts, true); });
  if (lines.size() > kLines)
    lines = each("binding", answers, "", [](const json& facts) { return describe_binding(facts, false); });
  const Lines shared = all("cores", answers, "", [](const Answers& of_ranks) {
    std::vector<Binding> ranks;
    for (const Answer& a : of_ranks) ranks.push_back(binding_of(a));
    return verdict_on_binding(ranks);
  });
  return join({lines, shared});
}

}  // namespace saddle::doctor
