#include "dist/streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "dist/error.h"

namespace saddle {

void open_streams() {
  int made = -1;
  do made = open("/dev/null", O_RDWR);
  while (made >= 0 && made <= STDERR_FILENO);
  if (made >= 0) close(made);
  std::signal(SIGPIPE, SIG_IGN);
}

void flush_output() {
  const bool flushed = std::fflush(stdout) == 0;
  // A flush that failed earlier has left no reason.
  const std::string reason = flushed ? "its disk is full, or its reader gone" : std::strerror(errno);
  if (!flushed || std::ferror(stdout) != 0 || !std::cout) throw Error(Exit::io, unwritable_output(reason));
}

std::string unwritable_output(const std::string& reason) {
  return "cannot write the output to stdout: " + reason;
}

}  // namespace saddle
