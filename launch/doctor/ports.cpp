#include "launch/doctor/ports.h"

#include <arpa/inet.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "dist/error.h"

namespace saddle::doctor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The kernel's numbers of this process's sockets.
std::set<std::string> own_sockets() {
  std::set<std::string> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd", none)) {
    const std::string target = fs::read_symlink(entry.path(), none).string();
    if (target.starts_with("socket:[")) found.insert(target.substr(8, target.size() - 9));
  }
  return found;
}

// "0100007F:1F90" of /proc/net/tcp, words of four bytes as the CPU has them, as "127.0.0.1:8080".
std::string address_text(const std::string& hex, int family) {
  const size_t colon = hex.find(':');
  std::array<uint32_t, 4> words{};
  for (size_t i = 0; i < (family == AF_INET ? 1 : 4); ++i)
    words[i] = static_cast<uint32_t>(std::stoul(hex.substr(8 * i, 8), nullptr, 16));
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family, words.data(), text.data(), text.size());
  const unsigned long port = std::stoul(hex.substr(colon + 1), nullptr, 16);
  return fmt::format(fmt::runtime(family == AF_INET ? "{}:{}" : "[{}]:{}"), text.data(), port);
}

void collect(const std::string& table, int family, const std::set<std::string>& own,
             std::vector<std::string>& found) {
  constexpr const char* kListens = "0A";
  std::ifstream in(table);
  std::string line;
  std::getline(in, line);  // the heading
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string number, local, remote, state, skipped, inode;
    words >> number >> local >> remote >> state;
    for (int i = 0; i < 5; ++i) words >> skipped;
    if (words >> inode && state == kListens && own.contains(inode))
      found.push_back(address_text(local, family));
  }
}

bool on_loopback(const std::string& port) {
  return port.starts_with("127.") || port.starts_with("[::1]");
}

}  // namespace

std::vector<std::string> listening() {
  const std::set<std::string> own = own_sockets();
  std::vector<std::string> found;
  collect("/proc/self/net/tcp", AF_INET, own, found);
  collect("/proc/self/net/tcp6", AF_INET6, own, found);
  std::sort(found.begin(), found.end());
  return found;
}

Verdict verdict_on_ports(const std::vector<std::vector<std::string>>& ports,
                         const std::vector<std::string>& doors, const std::vector<std::string>& hosts) {
  std::string found = fmt::format("watchdogs: {} (a token, closed since all ranks are there)",
                                  doors.empty() ? "none" : fmt::format("{}", fmt::join(doors, ", ")));
  bool open = false;
  for (size_t r = 0; r < ports.size(); ++r) {
    if (ports[r].empty()) continue;
    open |= !std::all_of(ports[r].begin(), ports[r].end(), on_loopback);
    found += fmt::format("; {}: {}", name_ranks({static_cast<int>(r)}, hosts), fmt::join(ports[r], " "));
  }
  if (!open) return {Status::ok, found + "; nothing else that another host could reach"};
  return {Status::ok,
          found +
              "; these of MPI and of NCCL's store ask for no password: keep the cluster's network closed, or "
              "choose it by OMPI_MCA_btl_tcp_if_include and NCCL_SOCKET_IFNAME, and ports for a firewall by "
              "OMPI_MCA_btl_tcp_port_min_v4 and OMPI_MCA_btl_tcp_port_range_v4"};
}

Lines check_ports(const World& world, const Comm& comm) {
  if (comm.size() == 1) return {};
  const Answers answers = ask(comm, "ports", 10, [] { return json(listening()); });
  return all("ports", answers, "see /proc/net/tcp", [&](const Answers& of_ranks) {
    std::vector<std::vector<std::string>> ports;
    for (const Answer& a : of_ranks) ports.push_back(a.facts.get<std::vector<std::string>>());
    return verdict_on_ports(ports, world.watch_doors(), hosts_of(of_ranks));
  });
}

}  // namespace saddle::doctor
