// This process and others of its host.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace saddle {

std::string host_name();  // printable, and never empty
// What a host may be called, with \xNN for each byte that is no printable ASCII: for lines, JSON and tables.
std::string printable_name(std::string_view bytes);
// When a process was started, in clock ticks since its host was; with the pid it names the process for ever.
// -1: there is none. `pid` may be "self".
int64_t process_start(const std::string& pid);
double process_age();  // seconds since this process was started

}  // namespace saddle
