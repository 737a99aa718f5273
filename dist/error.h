// Errors a user can act on. `fail` throws one; `main` prints it once and turns its kind into the exit status.
// A message says what was expected, what was found, and what to try.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace saddle {

// Exit statuses of the program, from sysexits.h; 124 is what timeout(1) ends with. A scheduler may act on
// them.
enum class Exit : int {
  ok = 0,
  usage = 64,
  data = 65,
  bug = 70,
  io = 74,
  again = 75,  // stopped before its end, state saved: the same command with --resume goes on
  diverged = 76,
  hang = 124
};

struct Error : std::runtime_error {
  Error(Exit kind, const std::string& message) : std::runtime_error(message), kind(kind) {}
  Exit kind;
  bool everywhere = false;  // every rank throws this error (Comm::together): no rank waits for another
};

template <class... Args>
[[noreturn]] void fail(Exit kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

// The arguments are evaluated whether or not the condition holds: nothing that needs it to be false, or costs
// much.
template <class... Args>
void require(bool condition, Exit kind, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace saddle
