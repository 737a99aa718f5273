// The watchdog of rank 0: it lets the other ranks in, hears their signs of life, and says who is to blame.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <iostream>
#include <thread>

#include "dist/error.h"
#include "dist/log.h"
#include "dist/utf8.h"
#include "dist/watch_peer.h"

namespace saddle {
namespace {

using nlohmann::json;
using trace::now;

constexpr double kLastWords = 0.5;       // for all to send theirs; mpirun's grace after SIGTERM is one second
constexpr size_t kStrangers = 64;        // connections that have not said the token yet
constexpr size_t kLongestHello = 4096;   // bytes of a stranger's line
constexpr double kHelloSeconds = 1;      // for a stranger to say it
constexpr double kCrowdedSeconds = 0.1;  // likewise, while others wait for its place

std::string address_of(int fd) {
  sockaddr_in peer{};
  socklen_t length = sizeof peer;
  char text[INET_ADDRSTRLEN] = "?";
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) == 0)
    inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text);
  return text;
}

}  // namespace

// The rank that a stranger has proved to be; -1 for none.
int Watch::rank_of(const json& hello) const {
  const int64_t rank = maybe_integer(hello, "rank").value_or(-1);
  if (!same_secret(maybe_text(hello, "token").value_or(""), token_)) return -1;
  return rank <= 0 || rank >= size_ || peers_[static_cast<size_t>(rank)] ? -1 : static_cast<int>(rank);
}

void Watch::accept() {
  const auto old = [&](double seconds) { return now() - strangers_.front().since > seconds; };
  for (const int listener : listeners_)
    for (;;) {
      if (strangers_.size() >= kStrangers && !old(kCrowdedSeconds)) return;
      const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd < 0) break;
      if (strangers_.size() >= kStrangers) turn_away("it said nothing");
      strangers_.push_back({.line = LineSocket(fd), .from = address_of(fd)});
    }
}

// The first of the strangers.
void Watch::turn_away(const std::string& reason) {
  if (!std::exchange(warned_, true))
    log::warn(
        "a connection to the watchdog that is not of this job was refused, from {}: {}; others are refused "
        "in silence",
        strangers_.front().from, reason);
  strangers_.pop_front();
}

void Watch::admit() {
  std::deque<Stranger> waiting;
  for (; !strangers_.empty();) {
    Stranger& stranger = strangers_.front();
    const std::vector<json> lines = stranger.line.receive(kLongestHello);
    const int rank = lines.empty() ? -1 : rank_of(lines[0]);
    if (rank > 0) {
      auto& peer = peers_[static_cast<size_t>(rank)] = std::make_unique<Peer>(std::move(stranger.line));
      for (const json& line : lines) take_sign(line, peer->sign);
      peer->line.send(to_json(flight::sign()));  // welcome
      strangers_.pop_front();
    } else if (lines.empty() && stranger.line.open() && now() - stranger.since < kHelloSeconds) {
      waiting.push_back(std::move(stranger));
      strangers_.pop_front();
    } else {
      turn_away(!lines.empty()                  ? "its token is not this job's"
                : stranger.line.fault().empty() ? "it said nothing"
                                                : "it sent " + stranger.line.fault());
    }
  }
  strangers_ = std::move(waiting);
  if (std::all_of(peers_.begin() + 1, peers_.end(), [](const auto& peer) { return peer != nullptr; }))
    close_doors();
}

// All ranks are here: nobody else has business with this port.
void Watch::close_doors() {
  strangers_.clear();
  for (const int listener : listeners_) close(listener);
  listeners_.clear();
}

void Watch::hear(int rank) {
  Peer& peer = *peers_[rank];
  for (const json& line : peer.read()) {
    const std::string kind = kind_of(line);
    take_sign(line, peer.sign);
    if (kind == "bye") peer.left = true;
    if (kind == "fail")
      conclude(static_cast<int>(maybe_integer(line, "status").value_or(static_cast<int>(Exit::bug))),
               maybe_text(line, "cause").value_or(name(rank) + " failed"));
    if (kind == "silence") leave(static_cast<int>(Exit::hang));  // this one's: they have said it and ended
  }
  if (peer.line.open() || peer.left) return;
  if (!peer.line.fault().empty())
    conclude(static_cast<int>(Exit::bug),
             fmt::format("{} sent its watchdog {}", name(rank), peer.line.fault()));
  conclude(128 + SIGKILL, death(rank, peer));
}

std::string Watch::death(int rank, const Peer& peer) const {
  return fmt::format(
      "{} died without a word, as of SIGKILL (out of memory, the scheduler, a user); last heard of {:.1f} s "
      "before, at {}",
      name(rank), now() - peer.heard, peer.sign.text());
}

// Waits for something to read, and hears whom it is from.
void Watch::listen_to_all() {
  std::vector<pollfd> polled;
  std::vector<int> ranks;
  const auto add = [&](int fd, int rank) {
    polled.push_back({.fd = fd, .events = POLLIN, .revents = 0});
    ranks.push_back(rank);
  };
  for (int r = 1; r < size_; ++r)
    if (peers_[r] && peers_[r]->line.open()) add(peers_[r]->line.fd(), r);
  for (const Stranger& stranger : strangers_) add(stranger.line.fd(), 0);
  if (strangers_.size() < kStrangers)
    for (const int listener : listeners_) add(listener, 0);
  poll(polled.data(), polled.size(), 50);
  forgive_suspension();
  if (!listeners_.empty()) {
    accept();
    admit();
  }
  for (size_t i = 0; i < polled.size(); ++i)
    if (polled[i].revents && ranks[i] > 0) hear(ranks[i]);
}

void Watch::hub() {
  double told = 0;
  while (!stop_) {
    listen_to_all();
    int status = 0;
    std::string cause;
    if (asked(status, cause)) conclude(status, cause);
    if (now() - told < period()) continue;
    told = now();
    std::vector<Watched> watched{{name(0), flight::sign(), 0}};
    const json sign = to_json(watched[0].sign);
    for (int r = 1; r < size_; ++r) {
      if (!peers_[r] || !peers_[r]->line.open()) continue;
      peers_[r]->line.send(sign);
      watched.push_back({name(r), peers_[r]->sign, now() - peers_[r]->heard});
    }
    if (const std::string verdict = judge(watched, timeout_); !verdict.empty())
      conclude(static_cast<int>(Exit::hang), verdict + records_hint());
  }
  for (auto& peer : peers_)
    if (peer && peer->line.open()) peer->line.send({{"kind", "bye"}});
}

// Adds the last words of the rank to `words`; whether there are more to wait for.
bool Watch::speaks(int rank, std::vector<std::string>& words) const {
  for (const json& line : peers_[rank]->read())
    if (kind_of(line) == "said") words[rank] = maybe_text(line, "words").value_or("");
  return peers_[rank]->line.open() && words[rank].empty();
}

// Rank 0 prints what all have to say: mpirun shuffles the lines of several ranks, and the cause has to be the
// last.
void Watch::conclude(int status, const std::string& cause) {
  std::vector<int> awaited;
  for (int r = 1; r < size_; ++r) {
    if (!peers_[r] || !peers_[r]->line.open()) continue;
    peers_[r]->line.send({{"kind", "end"}, {"status", status}});
    awaited.push_back(r);
  }
  std::vector<std::string> words(size_);
  words[0] = last_words();
  for (const double deadline = now() + kLastWords; !awaited.empty() && now() < deadline;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::erase_if(awaited, [&](int r) { return !speaks(r, words); });
  }
  std::string said;
  for (const std::string& each : words)
    if (!each.empty()) said += printable(each) + "\n";
  std::cerr << fmt::format("{}saddle: {}\n", said, printable_lines(cause)) << std::flush;
  keep_record();
  leave(status);
}

}  // namespace saddle
