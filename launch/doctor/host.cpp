#include "launch/doctor/host.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "dist/cuda/load.h"
#include "dist/error.h"
#include "dist/file.h"
#include "launch/run/cores.h"
#include "launch/run/versions.h"

namespace saddle::doctor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kLimit = 30;  // seconds for what asks only the kernel
constexpr int64_t kMiB = int64_t{1} << 20;

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

Verdict verdict_on_versions(const json& facts) {
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

Verdict verdict_on_open_files(const json& facts, int64_t files) {
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

Verdict verdict_on_ulimits(const json& facts) {
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

}  // namespace

bool same_nccl(const std::string& versions) {
  const size_t loaded = versions.find("NCCL "), built = versions.find("built with ");
  if (loaded == std::string::npos || built == std::string::npos) return true;
  return std::atoi(versions.c_str() + loaded + 5) == std::atoi(versions.c_str() + built + 11);
}

Lines check_program(const Comm& comm) {
  const Answers libraries = ask(comm, "versions", kLimit, [] { return versions(); });
  const Answers binary = ask(comm, "binary", kLimit, [] { return json(hash_file("/proc/self/exe")); });
  const Answers variables = ask(comm, "environment", kLimit, environment);
  Lines lines = each("versions", libraries, "", verdict_on_versions);
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

Verdict verdict_on_devices(const std::vector<Devices>& ranks, const std::string& device) {
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
                      return verdict_on_devices(ranks, device);
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
      each("open files", answers, "", [=](const json& facts) { return verdict_on_open_files(facts, files); });
  return join({lines, each("ulimit", answers, "", verdict_on_ulimits)});
}

}  // namespace saddle::doctor
