// This process and others of its host.
#pragma once

#include <cstdint>
#include <string>

namespace saddle {

std::string host_name();
// When a process was started, in clock ticks since its host was; with the pid it names the process for ever.
// -1: there is none. `pid` may be "self".
int64_t process_start(const std::string& pid);
double process_age();  // seconds since this process was started

}  // namespace saddle
