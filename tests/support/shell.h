// Commands as users start them, each a process of its own.
#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace saddle::test {

struct Result {
  int status;  // as a shell gives it
  std::string output;
};

// Runs `command` without input; its output is stdout, and stderr unless the command sends that elsewhere.
inline Result shell(const std::string& command) {
  std::array<char, 4096> buffer;
  Result result{-1, ""};
  FILE* pipe = popen(("( " + command + " ) 2>&1 </dev/null").c_str(), "r");
  while (const size_t n = fread(buffer.data(), 1, buffer.size(), pipe))
    result.output.append(buffer.data(), n);
  const int status = pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

// Before a command: so many ranks, which share the cores; 0: none of it.
inline std::string on_ranks(int ranks) {
  return ranks > 0 ? "mpirun --oversubscribe --bind-to none -n " + std::to_string(ranks) + " " : "";
}

}  // namespace saddle::test
