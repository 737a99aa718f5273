#include "dist/watch.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/ranges.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>

#include "dist/error.h"

namespace saddle {
namespace {

using nlohmann::json;
using trace::now;

constexpr double kLastWords = 0.5;  // for all to send theirs; mpirun's grace after SIGTERM is one second

// ---- lines of JSON over a socket

void send_line(int fd, const json& message) {
  const std::string line = message.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  // A peer that does not read has a full buffer: better to lose a sign of life than to wait.
  [[maybe_unused]] const ssize_t sent = send(fd, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool readable(int fd, double seconds) {
  pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&one, 1, static_cast<int>(seconds * 1000)) > 0;
}

sockaddr_in ipv4(const std::string& address, uint16_t port) {
  sockaddr_in made{};
  made.sin_family = AF_INET;
  made.sin_port = htons(port);
  inet_pton(AF_INET, address.c_str(), &made.sin_addr);
  return made;
}

// This host's addresses, the one of the machine itself last.
std::vector<std::string> addresses() {
  std::vector<std::string> found;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return {"127.0.0.1"};
  for (const ifaddrs* i = list; i; i = i->ifa_next) {
    if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || !(i->ifa_flags & IFF_UP) ||
        (i->ifa_flags & IFF_LOOPBACK))
      continue;
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(i->ifa_addr)->sin_addr, text, sizeof text);
    found.emplace_back(text);
  }
  freeifaddrs(list);
  found.emplace_back("127.0.0.1");
  return found;
}

// A connected socket, or -1.
int connect_to(const std::string& address, uint16_t port, double seconds) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const sockaddr_in to = ipv4(address, port);
  int status = connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  if (status != 0 && errno == EINPROGRESS) {
    pollfd one{.fd = fd, .events = POLLOUT, .revents = 0};
    socklen_t length = sizeof status;
    if (poll(&one, 1, static_cast<int>(seconds * 1000)) > 0)
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &status, &length);
  }
  if (status == 0) return fd;
  close(fd);
  return -1;
}

json to_json(const flight::Sign& s) {
  return {{"kind", "sign"},       {"step", s.step}, {"doing", s.doing}, {"entered", s.entered},
          {"waiting", s.waiting}, {"idle", s.idle}, {"limit", s.limit}};
}

flight::Sign sign_of(const json& j) {
  return {.step = j.at("step"),
          .doing = j.at("doing"),
          .entered = j.at("entered"),
          .waiting = j.at("waiting"),
          .idle = j.at("idle"),
          .limit = j.at("limit")};
}

[[noreturn]] void pause_for_ever() {
  for (;;) pause();
}

// ---- signals

std::atomic<bool> terminated{false};
std::atomic<int> crash{0};           // the signal of which this process dies
std::atomic<bool> crash_told{true};  // the watchdog needs no more time to say so
std::atomic<Watch*> on_duty{nullptr};
constexpr int kCrashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
struct sigaction before_crash[NSIG];

// Async-signal-safe: lets the watchdog tell the others, then whoever handled the signal before: a backtrace,
// a core dump.
void crashed(int number) {
  crash = number;
  for (int i = 0; i < 400 && !crash_told; ++i) usleep(5000);
  sigaction(number, &before_crash[number], nullptr);
  raise(number);
}

// `exit` in the middle of a job would leave the others waiting.
void exited(int status, void*) {
  if (Watch* watch = on_duty)
    watch->fail(status != 0 ? status : static_cast<int>(Exit::bug),
                fmt::format("exit({}) was called", status));
}

void handle_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { terminated = true; };
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = crashed;
  action.sa_flags = SA_NODEFER;
  for (const int number : kCrashes) sigaction(number, &action, &before_crash[number]);
  flight::touch();  // made before `exited` is registered, the record outlives it
  [[maybe_unused]] static const int registered = on_exit(exited, nullptr);
}

}  // namespace

struct Watch::Peer {
  int fd = -1;
  std::string unread;
  flight::Sign sign;
  double heard = now();
  bool left = false;  // in good order

  // Lines that have come; sets `closed` when the peer is gone.
  std::vector<json> read(bool& closed) {
    char buffer[4096];
    ssize_t got = 0;
    while ((got = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0) unread.append(buffer, got);
    closed = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
    std::vector<json> lines;
    for (size_t end; (end = unread.find('\n')) != std::string::npos; unread.erase(0, end + 1)) {
      json line = json::parse(unread.substr(0, end), nullptr, false);
      if (line.is_object()) lines.push_back(std::move(line));
    }
    if (!lines.empty()) heard = now();
    return lines;
  }
  void close() {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
};

// What this rank's main thread asks its watchdog for.
struct Watch::Request {
  std::mutex mutex;
  bool made = false;
  int status = 0;
  std::string cause;
};

Watch::Watch(int rank, int size, std::string host, const Exchange& exchange)
    : rank_(rank), size_(size), hosts_(exchange(host)), request_(std::make_unique<Request>()) {
  listen(exchange);
  handle_signals();
  crash_told = false;
  on_duty = this;
  thread_ = std::thread([this] { rank_ == 0 ? hub() : spoke(); });
}

Watch::~Watch() {
  on_duty = nullptr;
  crash_told = true;
  stop_ = true;
  thread_.join();
  for (auto& peer : peers_)
    if (peer) peer->close();
  if (listener_ >= 0) close(listener_);
}

std::string Watch::name(int rank) const {
  return fmt::format("rank {} ({})", rank, hosts_[rank]);
}

// Rank 0 listens; the others try its addresses until one answers.
void Watch::listen(const Exchange& exchange) {
  uint16_t port = 0;
  if (rank_ == 0) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in any = ipv4("0.0.0.0", 0);
    socklen_t length = sizeof any;
    auto* address = reinterpret_cast<sockaddr*>(&any);
    // Else the port stays 0, which nobody reaches: an error on all ranks, below.
    if (bind(listener_, address, length) == 0 && ::listen(listener_, size_) == 0)
      getsockname(listener_, address, &length);
    port = ntohs(any.sin_port);
    token_ = fmt::format("{:08x}{:08x}", std::random_device{}(), std::random_device{}());
    peers_.resize(size_);
  }
  const json hub =
      json::parse(exchange(json({{"port", port}, {"token", token_}, {"addresses", addresses()}}).dump())[0]);
  token_ = hub.at("token");
  std::string trouble;
  if (rank_ != 0) {
    peers_.push_back(std::make_unique<Peer>());
    std::vector<std::string> candidates = hub.at("addresses");
    if (hosts_[rank_] == hosts_[0]) std::rotate(candidates.begin(), candidates.end() - 1, candidates.end());
    for (const std::string& candidate : candidates) {
      peers_[0]->fd = connect_to(candidate, hub.at("port"), 3);
      address_ = candidate;
      if (peers_[0]->fd >= 0) break;
      trouble += (trouble.empty() ? "" : ", ") + candidate;
    }
    if (peers_[0]->fd >= 0) {
      trouble.clear();
      send_line(peers_[0]->fd, {{"kind", "hello"}, {"token", token_}, {"rank", rank_}});
    }
  } else {
    address_ = "127.0.0.1";
  }
  const std::vector<std::string> troubles = exchange(trouble);
  for (int r = 0; r < size_; ++r)
    if (!troubles[r].empty()) {
      Error error(Exit::io, fmt::format("{} cannot reach {} by TCP at {}, port {}: the ranks' watchdogs need "
                                        "open ports between the hosts of a job",
                                        name(r), name(0), troubles[r], hub.at("port").get<int>()));
      error.everywhere = true;
      throw error;
    }
}

void Watch::records(const std::string& folder) {
  std::lock_guard lock(request_->mutex);
  folder_ = folder;
}

double Watch::period() const {
  return std::clamp(timeout_.load() / 10, 0.05, 0.25);
}

void Watch::fail(int status, const std::string& cause) {
  {
    std::lock_guard lock(request_->mutex);
    request_->made = true;
    request_->status = status;
    request_->cause = fmt::format("{}: {} (at {})", name(rank_), cause, flight::sign().text());
  }
  pause_for_ever();  // the watchdog ends this process
}

// Whether this rank's own main thread, or a signal, wants the job to end.
bool Watch::asked(int& status, std::string& cause) {
  if (const int number = crash; number != 0) {
    status = 128 + number;
    cause = fmt::format("{} died of signal {} ({}) at {}", name(rank_), number, strsignal(number),
                        flight::sign().text());
    return true;
  }
  std::lock_guard lock(request_->mutex);
  if (request_->made) {
    status = request_->status;
    cause = request_->cause;
    return true;
  }
  if (!terminated) return false;
  if (terminated_since_ == 0) terminated_since_ = now();
  if (now() - terminated_since_ < 0.3)
    return false;  // mpirun sends it when a rank has died: the death is the cause
  status = 128 + SIGTERM;
  cause = fmt::format("{} was ended by SIGTERM, from the scheduler or mpirun (at {})", name(rank_),
                      flight::sign().text());
  return true;
}

// ---- rank 0

void Watch::accept() {
  const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  auto peer = std::make_unique<Peer>();
  peer->fd = fd;
  bool closed = false;
  std::vector<json> lines;
  if (readable(fd, 1)) lines = peer->read(closed);
  const json hello = lines.empty() ? json::object() : lines[0];
  const int rank = hello.value("rank", -1);
  if (hello.value("token", "") != token_ || rank <= 0 || rank >= size_ || peers_[rank]) {
    close(fd);
    return;
  }
  for (size_t i = 1; i < lines.size(); ++i)
    if (lines[i].value("kind", "") == "sign") peer->sign = sign_of(lines[i]);
  peers_[rank] = std::move(peer);
}

void Watch::hear(int rank) {
  Peer& peer = *peers_[rank];
  bool closed = false;
  for (const json& line : peer.read(closed)) {
    const std::string kind = line.value("kind", "");
    if (kind == "sign") peer.sign = sign_of(line);
    if (kind == "bye") peer.left = true;
    if (kind == "fail") conclude(line.at("status"), line.at("cause"));
    if (kind == "silence") leave(static_cast<int>(Exit::hang));  // this one's: they have said it and ended
  }
  if (!closed) return;
  peer.close();
  if (peer.left) return;
  conclude(128 + SIGKILL, death(rank, peer));
}

std::string Watch::death(int rank, const Peer& peer) const {
  return fmt::format(
      "{} died without a word, as of SIGKILL (out of memory, the scheduler, a user); last heard of {:.1f} s "
      "before, at {}",
      name(rank), now() - peer.heard, peer.sign.text());
}

// A job that was suspended as a whole, as Slurm does it, finds all its clocks advanced: nobody is to blame.
void Watch::forgive_suspension() {
  if (looked_ > 0 && now() - looked_ > timeout_ / 2) {
    flight::touch();
    for (auto& peer : peers_)
      if (peer) peer->heard = now();
  }
  looked_ = now();
}

void Watch::hub() {
  double told = 0;
  while (!stop_) {
    std::vector<pollfd> polled{{.fd = listener_, .events = POLLIN, .revents = 0}};
    std::vector<int> ranks{0};
    for (int r = 1; r < size_; ++r)
      if (peers_[r] && peers_[r]->fd >= 0) {
        polled.push_back({.fd = peers_[r]->fd, .events = POLLIN, .revents = 0});
        ranks.push_back(r);
      }
    poll(polled.data(), polled.size(), 50);
    forgive_suspension();
    if (polled[0].revents) accept();
    for (size_t i = 1; i < polled.size(); ++i)
      if (polled[i].revents) hear(ranks[i]);
    int status = 0;
    std::string cause;
    if (asked(status, cause)) conclude(status, cause);
    if (now() - told < period()) continue;
    told = now();
    std::vector<Watched> watched{{name(0), flight::sign(), 0}};
    const json sign = to_json(watched[0].sign);
    for (int r = 1; r < size_; ++r) {
      if (!peers_[r] || peers_[r]->fd < 0) continue;
      send_line(peers_[r]->fd, sign);
      watched.push_back({name(r), peers_[r]->sign, now() - peers_[r]->heard});
    }
    if (const std::string verdict = judge(watched, timeout_); !verdict.empty())
      conclude(static_cast<int>(Exit::hang), verdict + records_hint());
  }
  for (auto& peer : peers_)
    if (peer && peer->fd >= 0) send_line(peer->fd, {{"kind", "bye"}});
}

// Adds the last words of the rank to `words`; whether there are more to wait for.
bool Watch::speaks(int rank, std::vector<std::string>& words) const {
  bool closed = false;
  for (const json& line : peers_[rank]->read(closed))
    if (line.value("kind", "") == "said") words[rank] = line.at("words");
  return !closed && words[rank].empty();
}

// Rank 0 prints what all have to say: mpirun shuffles the lines of several ranks, and the cause has to be the
// last.
void Watch::conclude(int status, const std::string& cause) {
  std::vector<int> awaited;
  for (int r = 1; r < size_; ++r) {
    if (!peers_[r] || peers_[r]->fd < 0) continue;
    send_line(peers_[r]->fd, {{"kind", "end"}, {"status", status}});
    awaited.push_back(r);
  }
  std::vector<std::string> words(size_);
  words[0] = last_words();
  for (const double deadline = now() + kLastWords; !awaited.empty() && now() < deadline;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::erase_if(awaited, [&](int r) { return !speaks(r, words); });
  }
  std::cerr << fmt::format("{}saddle: {}\n", fmt::join(words, ""), cause) << std::flush;
  keep_record();
  leave(status);
}

// ---- the other ranks

void Watch::spoke() {
  Peer& hub = *peers_[0];
  double told = 0;
  for (bool left = false; !stop_ && !left;) {
    if (now() - told >= period()) {
      told = now();
      send_line(hub.fd, to_json(flight::sign()));
    }
    int status = 0;
    std::string cause;
    if (asked(status, cause)) {
      send_line(hub.fd, {{"kind", "fail"}, {"status", status}, {"cause", cause}});
      // Rank 0 answers with the first cause, which may be another.
      if (!readable(hub.fd, 2)) end_without_hub(status, cause);
    }
    const bool heard = readable(hub.fd, 0.05);
    forgive_suspension();
    if (!heard && now() - hub.heard > timeout_) {
      send_line(hub.fd, {{"kind", "silence"}});
      end_without_hub(static_cast<int>(Exit::hang),
                      silent({{name(0), hub.sign, now() - hub.heard}}) + records_hint());
    }
    if (!heard) continue;
    bool closed = false;
    for (const json& line : hub.read(closed)) {
      const std::string kind = line.value("kind", "");
      if (kind == "sign") hub.sign = sign_of(line);
      if (kind == "bye") left = true;
      if (kind == "end") follow(line.at("status"), closed);
    }
    if (closed && !left) end_without_hub(128 + SIGKILL, death(0, hub));
  }
  send_line(hub.fd, {{"kind", "bye"}});
}

// Rank 0 says the cause, after all others have said their own. Where it has done so already, this rank was
// stopped meanwhile and comes too late.
void Watch::follow(int status, bool too_late) {
  Peer& hub = *peers_[0];
  if (too_late) leave(status);
  send_line(hub.fd, {{"kind", "said"}, {"words", last_words()}});
  keep_record();
  bool closed = false;
  for (const double deadline = now() + 2; !closed && now() < deadline;)
    if (readable(hub.fd, deadline - now())) hub.read(closed);
  leave(status);
}

void Watch::end_without_hub(int status, const std::string& cause) {
  std::cerr << fmt::format("saddle: {}. {} ends at {}\n", cause, name(rank_), flight::sign().text())
            << std::flush;
  keep_record();
  leave(status);
}

// ---- all ranks

std::string Watch::last_words() const {
  return fmt::format("saddle: {} ends at {}\n", name(rank_), flight::sign().text());
}

std::string Watch::folder() const {
  std::lock_guard lock(request_->mutex);
  return folder_;
}

std::string Watch::records_hint() const {
  return folder().empty() ? "" : fmt::format("; see `saddle flight {}`", folder());
}

// By a thread of its own: the file system may be what hangs.
void Watch::keep_record() const {
  if (folder().empty()) return;
  auto done = std::make_shared<std::atomic<bool>>(false);
  std::thread([done, path = fmt::format("{}/flight-{:04}.jsonl", folder(), rank_)] {
    std::ofstream(path) << flight::dump();  // if the folder is full or gone, without
    *done = true;
  }).detach();
  for (const double deadline = now() + 1; !*done && now() < deadline;)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

void Watch::leave(int status) const {
  crash_told = true;
  if (crash != 0) pause_for_ever();  // dies of its signal
  std::_Exit(status);
}

}  // namespace saddle
