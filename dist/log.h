// Rank-aware logging, to stderr through spdlog: information from rank 0, warnings from any rank. What a line
// quotes of others is shown as utf8.h says.
#pragma once

#include <fmt/format.h>

#include <string>

namespace saddle::log {

void start(int rank, int size);  // once, before the first line; without it this is rank 0 of 1
void write_info(const std::string& line);
void write_warning(const std::string& line);

template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write_info(fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  write_warning(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace saddle::log
