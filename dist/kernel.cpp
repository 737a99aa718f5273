#include "dist/kernel.h"

#include <fstream>
#include <sstream>

namespace saddle {

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

int64_t number_in(const std::string& path) {
  std::istringstream in(first_line(path));
  int64_t value = 0;
  return in >> value ? value : -1;
}

int64_t number_after(const std::string& path, const std::string& key) {
  std::ifstream in(path);
  for (std::string word; in >> word;)
    if (int64_t value = 0; word == key && in >> value) return value;
  return -1;
}

std::string cgroup() {
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("0::")) return line == "0::/" ? "" : line.substr(3);
  return "";
}

}  // namespace saddle
