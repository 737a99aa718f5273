#include "launch/doctor/host.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "dist/cuda/load.h"
#include "dist/error.h"
#include "dist/file.h"
#include "launch/cores.h"
#include "launch/versions.h"

namespace saddle::doctor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kLimit = 30;  // seconds for what asks only the kernel
constexpr int64_t kMiB = int64_t{1} << 20;

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

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

// ---- program

json environment() {
  static constexpr const char* kPrefixes[] = {
      "OMP_", "MKL_", "NCCL_", "UCX_", "SADDLE_", "HDF5_", "TORCH_", "LD_LIBRARY_PATH=", "LD_PRELOAD="};
  json found = json::object();
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    for (const char* prefix : kPrefixes)
      if (text.starts_with(prefix)) found[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return found;
}

std::string only_versions(const std::string& cuda) {
  return cuda.substr(0, std::min(cuda.find(", not in use"), cuda.find(": ")));
}

Verdict judge_versions(const json& facts) {
  const std::string cuda = only_versions(facts.at("CUDA and NCCL"));
  const std::string found =
      fmt::format("saddle {}, LibTorch {}, {}, HDF5 {}, {}", facts.at("saddle").get<std::string>(),
                  facts.at("LibTorch").get<std::string>(), facts.at("MPI").get<std::string>(),
                  facts.at("HDF5").get<std::string>(), cuda == "none" ? "no CUDA" : cuda);
  if (same_nccl(cuda)) return {Status::ok, found};
  return {Status::failure, found,
          "the NCCL found at run time is not the one built with: take other NCCL libraries out of "
          "LD_LIBRARY_PATH"};
}

// Ranks that differ in what should be alike: each kind is named with its ranks.
Lines require_alike(const std::string& check, const Answers& answers, Status status, const std::string& alike,
                    const std::string& advice, const std::function<std::string(const json&)>& text) {
  std::set<std::string> kinds;
  for (const Answer& a : answers)
    if (a.error.empty()) kinds.insert(text(a.facts));
  return each(check, answers, advice, [&](const json& facts) -> Verdict {
    if (kinds.size() == 1) return {Status::ok, alike.empty() ? text(facts) : alike};
    return {status, text(facts), advice};
  });
}

// Variables that are not the same everywhere, as this rank has them; otherwise all.
std::string differing(const json& mine, const Answers& answers) {
  std::set<std::string> names;
  for (const Answer& a : answers)
    for (const auto& [name, value] : a.facts.items()) names.insert(name);
  std::string every, some;
  for (const std::string& name : names) {
    const json value = mine.value(name, json("(unset)"));
    const std::string text = fmt::format("{}={}", name, value.get<std::string>());
    const bool same = std::all_of(answers.begin(), answers.end(), [&](const Answer& a) {
      return a.facts.value(name, json("(unset)")) == value;
    });
    every += (every.empty() ? "" : " ") + text;
    if (!same) some += (some.empty() ? "" : " ") + text;
  }
  return some.empty() ? every.empty() ? "nothing set that matters" : every : some;
}

// ---- cores

// The CPU time that the cgroup allows, in cores; 0: no limit.
double cpu_quota(const std::string& cgroup) {
  std::istringstream v2(first_line("/sys/fs/cgroup" + cgroup + "/cpu.max"));
  double quota = 0, period = 0;
  if (v2 >> quota >> period) return quota / period;
  std::istringstream q(first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")),
      p(first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));
  return q >> quota && p >> period && quota > 0 ? quota / period : 0;
}

// The path of this process's cgroup, "/" at the top.
std::string cgroup() {
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("0::")) return line == "0::/" ? "" : line.substr(3);
  return "";
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

// ---- limits

json limits() {
  const auto soft = [](auto which) {
    rlimit limit{};
    getrlimit(which, &limit);
    return limit.rlim_cur == RLIM_INFINITY ? INT64_MAX : int64_t(limit.rlim_cur);
  };
  std::error_code none;
  const bool infiniband =
      fs::exists("/sys/class/infiniband", none) && !fs::is_empty("/sys/class/infiniband", none);
  return {{"nofile", soft(RLIMIT_NOFILE)},
          {"memlock", soft(RLIMIT_MEMLOCK)},
          {"core", soft(RLIMIT_CORE)},
          {"stack", soft(RLIMIT_STACK)},
          {"infiniband", infiniband}};
}

std::string limit_text(int64_t bytes) {
  return bytes == INT64_MAX ? "unlimited" : text_of_bytes(double(bytes));
}

Verdict judge_open_files(const json& facts, int64_t files) {
  constexpr int64_t kOwn = 128, kComfortable = 1024;  // libraries, sockets, checkpoints
  const int64_t limit = facts.at("nofile");
  const std::string found =
      fmt::format("{} allowed, {} for the shards of the data set and about {} for the rest",
                  limit == INT64_MAX ? "any number" : std::to_string(limit), files, kOwn);
  const std::string advice =
      "ulimit -n 4096 before mpirun (or LimitNOFILE, /etc/security/limits.conf); fewer, larger shards";
  if (limit < files + kOwn) return {Status::failure, found, advice};
  return limit < std::max(kComfortable, files + kOwn) ? Verdict{Status::warning, found, advice}
                                                      : Verdict{Status::ok, found};
}

Verdict judge_ulimits(const json& facts) {
  const int64_t memlock = facts.at("memlock"), stack = facts.at("stack");
  const std::string found =
      fmt::format("stack {}, locked memory {}, core files {}", limit_text(stack), limit_text(memlock),
                  facts.at("core") == 0 ? "off" : limit_text(facts.at("core")));
  if (stack < 2 * kMiB)
    return {Status::warning, found, "ulimit -s 8192: compute threads take their stacks from it"};
  if (facts.at("infiniband") && memlock < 1024 * kMiB)
    return {Status::warning, found,
            "ulimit -l unlimited: InfiniBand needs locked memory, and is not used or fails without"};
  return {Status::ok, found};
}

// ---- memory

int64_t number_in(const std::string& path) {
  std::istringstream in(first_line(path));
  int64_t value = 0;
  return in >> value ? value : -1;
}

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

int64_t number_after(const std::string& path, const std::string& key) {
  std::ifstream in(path);
  for (std::string word; in >> word;)
    if (int64_t value = 0; word == key && in >> value) return value;
  return -1;
}

bool same_nccl(const std::string& versions) {
  const size_t loaded = versions.find("NCCL "), built = versions.find("built with ");
  if (loaded == std::string::npos || built == std::string::npos) return true;
  return std::atoi(versions.c_str() + loaded + 5) == std::atoi(versions.c_str() + built + 11);
}

Lines check_program(const Comm& comm) {
  const Answers libraries = ask(comm, "versions", kLimit, [] { return versions(); });
  const Answers binary = ask(comm, "binary", kLimit, [] { return json(hash_file("/proc/self/exe")); });
  const Answers variables = ask(comm, "environment", kLimit, environment);
  Lines lines = each("versions", libraries, "", judge_versions);
  if (lines.size() > 1)
    for (Line& line : lines) {
      line.verdict.status = Status::failure;
      line.verdict.advice =
          "the ranks run different libraries: install the same on every host, or make PATH and "
          "LD_LIBRARY_PATH the same";
    }
  const Lines of_binary = require_alike(
      "binary", binary, Status::failure, "the same on every rank",
      "start one and the same saddle on every rank; copy it anew to hosts that have their own",
      [](const json& hash) {
        return "another program than on other ranks, hash " + hash.get<std::string>().substr(0, 8);
      });
  const Lines of_variables = require_alike("environment", variables, Status::warning, "",
                                           "set it on every rank: mpirun -x NAME=value, srun --export",
                                           [&](const json& mine) { return differing(mine, variables); });
  return join({lines, of_binary, of_variables});
}

Verdict judge_binding(const std::vector<Binding>& ranks) {
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
    return judge_binding(ranks);
  });
  return join({lines, shared});
}

Verdict judge_devices(const std::vector<Devices>& ranks, const std::string& device) {
  const bool must = device == "cuda";
  std::vector<int> with, without, crowded, blind;
  std::vector<std::string> hosts;
  std::map<std::string, int64_t> local;
  for (const Devices& d : ranks) ++local[d.host];
  for (size_t r = 0; r < ranks.size(); ++r) {
    hosts.push_back(ranks[r].host);
    (ranks[r].count > 0 ? with : without).push_back(int(r));
    if (ranks[r].count > 0 && ranks[r].count < local[ranks[r].host]) crowded.push_back(int(r));
    if (ranks[r].count == 0 && ranks[r].file) blind.push_back(int(r));
  }
  if (device == "cpu") return {Status::ok, "device = cpu: GPUs are not used"};
  if (with.empty()) {
    const std::string found =
        fmt::format("no GPU in use: {}", ranks[size_t(blind.empty() ? 0 : blind[0])].why);
    if (must)
      return {Status::failure, found,
              "ask the scheduler for GPUs (srun --gpus-per-node), or --set device=cpu"};
    return blind.empty() ? Verdict{Status::ok, found + "; trains on the CPU"}
                         : Verdict{Status::warning, found,
                                   "there is a GPU: build saddle with CUDA and NCCL and look at nvidia-smi, "
                                   "or --set device=cpu"};
  }
  if (!without.empty())
    return {must ? Status::failure : Status::warning,
            fmt::format("{} no GPU, others do: all would train on the CPU",
                        name_ranks(without, hosts) + (without.size() == 1 ? " has" : " have")),
            "give every host as many GPUs as ranks: srun --gpus-per-node, mpirun --map-by ppr:N:node; " +
                ranks[size_t(without[0])].why};
  if (!crowded.empty())
    return {must ? Status::failure : Status::warning,
            fmt::format("{}: {} GPU{} in sight for {} ranks of the host: {}", name_ranks(crowded, hosts),
                        ranks[size_t(crowded[0])].count, plural(ranks[size_t(crowded[0])].count),
                        local[ranks[size_t(crowded[0])].host],
                        must ? "ranks would share one, which NCCL refuses" : "all would train on the CPU"),
            "one rank a GPU; every rank must see all GPUs of its host: no CUDA_VISIBLE_DEVICES or "
            "--gpus-per-task that hides them"};
  return {Status::ok, fmt::format("a GPU for every rank")};
}

Lines check_devices(const Comm& comm, const std::string& device) {
  const int64_t local_rank = comm.local_rank();
  const Answers answers = ask(comm, "devices", kLimit, [=]() -> json {
    const CudaPlugin* cuda = device == "cpu" ? nullptr : cuda_plugin();
    const int count = cuda ? cuda->device_count() : 0;
    return {{"local_rank", local_rank},
            {"count", count},
            {"name", count > 0 ? cuda->device_name(int(local_rank % count)) : ""},
            {"file", access("/dev/nvidiactl", F_OK) == 0},
            {"why", device == "cpu" ? "" : why_no_cuda()}};
  });
  Lines lines = all("devices", answers, "look at nvidia-smi on that host, or --set device=cpu",
                    [&](const Answers& of_ranks) {
                      std::vector<Devices> ranks;
                      for (const Answer& a : of_ranks)
                        ranks.push_back({.host = a.host,
                                         .local_rank = a.facts.at("local_rank"),
                                         .count = a.facts.at("count"),
                                         .file = a.facts.at("file"),
                                         .why = a.facts.at("why")});
                      return judge_devices(ranks, device);
                    });
  const bool any = std::any_of(answers.begin(), answers.end(),
                               [](const Answer& a) { return a.error.empty() && a.facts.at("count") > 0; });
  if (!any) return lines;
  const Lines names = each("device", answers, "", [](const json& facts) -> Verdict {
    if (facts.at("count") == 0) return {Status::ok, "none"};
    return {Status::ok, fmt::format("{}, number {} of {} in sight", facts.at("name").get<std::string>(),
                                    facts.at("local_rank").get<int64_t>() % facts.at("count").get<int64_t>(),
                                    facts.at("count").get<int64_t>())};
  });
  return join({lines, names});
}

Lines check_limits(const Comm& comm, int64_t files) {
  const Answers answers = ask(comm, "ulimit", kLimit, limits);
  Lines lines =
      each("open files", answers, "", [=](const json& facts) { return judge_open_files(facts, files); });
  return join({lines, each("ulimit", answers, "", judge_ulimits)});
}

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
