#include "dist/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "dist/utf8.h"

namespace saddle::log {
namespace {

int this_rank = 0;

spdlog::logger& logger() {
  static auto logger = [] {
    auto made = spdlog::stderr_color_mt("saddle");
    made->set_pattern("%^%H:%M:%S%$ %v");
    return made;
  }();
  return *logger;
}

}  // namespace

void start(int rank, int size) {
  this_rank = rank;
  if (size > 1) logger().set_pattern(fmt::format("%^%H:%M:%S%$ [rank {}] %v", rank));
}

void write_info(const std::string& line) {
  if (this_rank == 0) logger().info(printable_lines(line));
}

void write_warning(const std::string& line) {
  logger().warn("warning: " + printable_lines(line));
}

}  // namespace saddle::log
