#include "dist/meeting.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "dist/error.h"
#include "dist/process.h"

namespace saddle {
namespace {

constexpr std::chrono::seconds kPatience{60}, kForRankZeroToSpeak{2};

// "eth0 10.0.0.1, docker0 172.17.0.1"
std::string networks() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return "unknown networks";
  std::string text;
  for (const ifaddrs* i = list; i; i = i->ifa_next) {
    if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || (i->ifa_flags & IFF_LOOPBACK)) continue;
    char address[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(i->ifa_addr)->sin_addr, address, sizeof address);
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", i->ifa_name, address);
  }
  freeifaddrs(list);
  return text;
}

}  // namespace

Meeting::Meeting(int rank) : thread_([this, rank] { await(rank); }) {}

Meeting::~Meeting() {
  {
    const std::lock_guard lock(mutex_);
    met_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Meeting::await(int rank) {
  std::unique_lock lock(mutex_);
  const auto limit = rank == 0 ? kPatience : kPatience + kForRankZeroToSpeak;
  if (changed_.wait_for(lock, limit, [this] { return met_; })) return;
  const std::string line = fmt::format(
      "saddle: all ranks have started, but do not reach each other within {} s. {} has {}: OpenMPI may use "
      "one that does not join the hosts. Name the right one, as OMPI_MCA_btl_tcp_if_include=eth0 in the "
      "environment or in [environment] of a site file\n",
      kPatience.count(), host_name(), networks());
  if (rank == 0 && write(STDERR_FILENO, line.data(), line.size()) < 0) _exit(static_cast<int>(Exit::io));
  _exit(static_cast<int>(Exit::hang));
}

}  // namespace saddle
