// What the kernel says in files of /proc and /sys.
#pragma once

#include <cstdint>
#include <string>

namespace saddle {

std::string first_line(const std::string& path);  // "" if it cannot be read
int64_t number_in(const std::string& path);       // that the first line begins with; -1 if there is none
// The number after the word `key`; -1 if there is none.
int64_t number_after(const std::string& path, const std::string& key);
// Of this process: the path below /sys/fs/cgroup, "" at the top.
std::string cgroup();

}  // namespace saddle
