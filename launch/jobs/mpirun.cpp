#include "launch/jobs/mpirun.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <utility>

#include "dist/error.h"
#include "dist/trace.h"

namespace saddle {
namespace {

bool has_network() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return true;  // mpirun will tell
  bool up = false;
  for (const ifaddrs* i = list; i; i = i->ifa_next) up = up || (i->ifa_addr && (i->ifa_flags & IFF_UP));
  freeifaddrs(list);
  return up;
}

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value && std::strcmp(value, "1") == 0;
}

bool ignores(int number) {
  struct sigaction now {};
  sigaction(number, nullptr, &now);
  return now.sa_handler == SIG_IGN;
}

sigset_t requests() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGHUP})
    if (number != SIGHUP || !ignores(SIGHUP)) sigaddset(&set, number);
  return set;
}

// Takes what the child prints to one of its streams on to ours. A reader that has gone, which mpirun would
// die of, is no reason to end a training.
class Relay {
 public:
  explicit Relay(int stream) : stream_(stream) {
    require(pipe2(ends_, O_CLOEXEC) == 0, Exit::io, "cannot make a pipe: {}", std::strerror(errno));
  }
  ~Relay() {
    for (const int end : ends_) close(end);
  }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  void in_child() const { dup2(ends_[1], stream_); }
  void in_parent() {
    close(std::exchange(ends_[1], -1));
    fcntl(ends_[0], F_SETFL, O_NONBLOCK);
  }
  pollfd polled() const { return {.fd = ended_ ? -1 : ends_[0], .events = POLLIN, .revents = 0}; }
  // All that is there now.
  void pass() {
    char buffer[4096];
    ssize_t got = 0;
    while ((got = read(ends_[0], buffer, sizeof buffer)) > 0)
      for (ssize_t at = 0, put = 1; at < got && put > 0; at += put)
        put = write(stream_, buffer + at, static_cast<size_t>(got - at));
    ended_ = got == 0;
  }

 private:
  const int stream_;
  int ends_[2] = {-1, -1};
  bool ended_ = false;
};

[[noreturn]] void become(std::vector<std::string>& words) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  setsid();
  if (const int nothing = open("/dev/null", O_RDONLY); nothing >= 0) dup2(nothing, STDIN_FILENO);
  std::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  const std::string line = fmt::format("saddle: cannot start {}: {}: install OpenMPI, or load its module\n",
                                       words[0], std::strerror(errno));
  [[maybe_unused]] const ssize_t told = write(STDERR_FILENO, line.data(), line.size());
  _exit(static_cast<int>(Exit::usage));
}

// `asked`: when the first request came, 0 before.
void ask(pid_t child, int number, double& asked) {
  constexpr double kSameRequest = 1;
  if (asked == 0) {
    asked = trace::now();
    kill(child, SIGUSR1);
  } else if (number != SIGHUP && trace::now() > asked + kSameRequest) {
    kill(child, SIGTERM);
  }
}

}  // namespace

void require_mpirun() {
  require(geteuid() != 0 || (is_set("OMPI_ALLOW_RUN_AS_ROOT") && is_set("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM")),
          Exit::usage,
          "mpirun refuses root: set OMPI_ALLOW_RUN_AS_ROOT=1 and OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1, as in a "
          "container, or start as another user");
  require(has_network(), Exit::usage,
          "mpirun needs a network, if only this machine's own, and no interface is up: `ip link set lo up`");
}

int run_mpirun(std::vector<std::string> words) {
  sigset_t signals = requests();
  sigaddset(&signals, SIGCHLD);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  Relay out(STDOUT_FILENO), error(STDERR_FILENO);
  const int signalled = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  const pid_t child = signalled < 0 ? -1 : fork();
  require(child >= 0, Exit::io, "cannot start a process: {}", std::strerror(errno));
  if (child == 0) {
    out.in_child();
    error.in_child();
    become(words);
  }
  out.in_parent();
  error.in_parent();
  double asked = 0;
  for (;;) {
    pollfd polled[] = {{.fd = signalled, .events = POLLIN, .revents = 0}, out.polled(), error.polled()};
    poll(polled, std::size(polled), -1);
    int status = 0;
    const bool ended = waitpid(child, &status, WNOHANG) == child;
    out.pass();
    error.pass();
    if (ended) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    signalfd_siginfo signal{};
    while (read(signalled, &signal, sizeof signal) == sizeof signal)
      if (signal.ssi_signo != SIGCHLD) ask(child, static_cast<int>(signal.ssi_signo), asked);
  }
}

}  // namespace saddle
