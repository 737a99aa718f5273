#include "dist/process.h"

#include <time.h>
#include <unistd.h>

#include <fmt/format.h>

#include <fstream>
#include <sstream>

namespace saddle {

std::string printable_name(std::string_view bytes) {
  std::string name;
  for (const char c : bytes)
    name += c > ' ' && c < 127 ? std::string(1, c) : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return name.empty() ? "unnamed-host" : name;
}

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return printable_name(name);
}

int64_t process_start(const std::string& pid) {
  std::ifstream in("/proc/" + pid + "/stat");
  std::string stat;
  if (!std::getline(in, stat)) return -1;
  // The name, field 2, may hold spaces and brackets; state is field 3, the start field 22.
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::string field;
  fields >> field;
  if (field == "Z") return -1;  // ended, and not yet waited for
  for (int i = 4; i <= 22; ++i) fields >> field;
  return std::stoll(field);
}

double process_age() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec) -
         static_cast<double>(process_start("self")) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace saddle
