#include "dist/watch.h"

#include <fmt/ranges.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>

#include "dist/error.h"
#include "dist/process.h"
#include "dist/utf8.h"
#include "dist/watch_peer.h"

namespace saddle {
namespace {

using nlohmann::json;
using trace::now;

constexpr double kReach = 3;  // seconds for rank 0 to answer
constexpr size_t kLongestCause = 1 << 14;
constexpr int kTries = 10;  // connections that rank 0 closes before it has said anything

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

// Processes of one network: 127.0.0.1 is the same place for all of them.
std::string network() {
  std::string boot;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
  std::error_code none;
  return fmt::format("{} {} {}", host_name(), boot,
                     std::filesystem::read_symlink("/proc/self/ns/net", none).string());
}

std::string random_token() {
  std::array<uint8_t, 16> bytes{};
  require(getrandom(bytes.data(), bytes.size(), 0) == ssize_t(bytes.size()), Exit::io,
          "the kernel gives no random numbers");
  return fmt::format("{:02x}", fmt::join(bytes, ""));
}

std::vector<std::string> own_addresses() {
  std::vector<std::string> found;
  for (const Interface& each : interfaces()) found.push_back(each.address);
  return found;
}

// Of an interface that is named or given by its address.
std::set<std::string> addresses_of(const std::string& wanted) {
  std::set<std::string> found;
  for (const Interface& each : interfaces())
    if (each.name == wanted || each.address == wanted) found.insert(each.address);
  if (wanted == "lo" || wanted == "127.0.0.1") found.insert("127.0.0.1");
  return found;
}

std::string own_networks() {
  std::string text = "lo (127.0.0.1)";
  for (const Interface& each : interfaces()) text += fmt::format(", {} ({})", each.name, each.address);
  return text;
}

// As it travels; names of hosts may hold any bytes.
std::string text_of(const json& message) {
  return message.dump(-1, ' ', false, json::error_handler_t::replace);
}

// Own addresses by which the others reach this process: one on each network that leads to one of theirs. An
// address that a peer has too is a bridge of containers: it leads nowhere.
std::set<std::string> ways_to(const std::vector<json>& peers) {
  const std::vector<std::string> own = own_addresses();
  std::set<std::string> ways;
  for (const json& peer : peers) {
    if (peer.at("network") == peers[0].at("network")) continue;
    for (const std::string address : peer.at("addresses"))
      if (std::find(own.begin(), own.end(), address) == own.end())
        if (const std::string way = address_towards(address); !way.empty()) ways.insert(way);
  }
  if (ways.empty()) ways.insert("127.0.0.1");
  return ways;
}

}  // namespace

json to_json(const flight::Sign& s) {
  return {{"kind", "sign"},       {"step", s.step}, {"doing", s.doing}, {"entered", s.entered},
          {"waiting", s.waiting}, {"idle", s.idle}, {"limit", s.limit}};
}

void take_sign(const json& message, flight::Sign& sign) {
  const auto step = maybe_integer(message, "step"), entered = maybe_integer(message, "entered");
  const auto doing = maybe_text(message, "doing"), waiting = maybe_text(message, "waiting");
  const auto idle = maybe_number(message, "idle"), limit = maybe_number(message, "limit");
  if (kind_of(message) != "sign" || !step || !entered || !doing || !waiting || !idle || !limit) return;
  sign = {.step = *step,
          .doing = *doing,
          .entered = static_cast<uint64_t>(*entered),
          .waiting = *waiting,
          .idle = *idle,
          .limit = *limit};
}

Watch::Watch(int rank, int size, std::string host, const Exchange& exchange, const std::string& interface)
    : rank_(rank), size_(size), hosts_(exchange(host)), request_(std::make_unique<Request>()) {
  meet(exchange, interface);
  handle_signals();
  crash_told = false;
  on_duty = this;
  thread_ = std::thread([this] {
    try {
      rank_ == 0 ? hub() : spoke();
    } catch (const std::exception& e) {
      end_without_hub(static_cast<int>(Exit::bug),
                      fmt::format("the watchdog of {} failed: {}", name(rank_), e.what()));
    }
  });
}

Watch::~Watch() {
  on_duty = nullptr;
  crash_told = true;
  stop_ = true;
  thread_.join();
  close_doors();
}

std::string Watch::name(int rank) const {
  return fmt::format("rank {} ({})", rank, hosts_[rank]);
}

// Rank 0 listens where the others are; they try its doors until one opens.
void Watch::meet(const Exchange& exchange, const std::string& interface) {
  const json self = {{"network", network()}, {"addresses", own_addresses()}};
  std::vector<json> places;
  for (const std::string& place : exchange(text_of(self))) places.push_back(json::parse(place));
  std::string trouble;
  json doors = json::array();
  if (rank_ == 0) {
    token_ = random_token();
    peers_.resize(size_);
    trouble = open_doors(interface.empty() ? ways_to(places) : addresses_of(interface), interface, doors);
    address_ = "127.0.0.1";
  }
  const json hub =
      json::parse(exchange(text_of({{"token", token_}, {"doors", doors}, {"trouble", trouble}}))[0]);
  for (const json& door : hub.at("doors")) doors_.push_back({door.at("address"), door.at("port")});
  if (rank_ != 0) {
    token_ = hub.at("token");
    peers_.push_back(std::make_unique<Peer>(reach()));
    if (!doors_.empty() && !peers_[0]->line.open()) {
      for (const Door& door : doors_)
        trouble += fmt::format("{}{}:{}", trouble.empty() ? "" : ", ", door.address, door.port);
    }
  }
  const std::vector<std::string> troubles = exchange(trouble);
  for (int r = 0; r < size_; ++r) {
    if (troubles[r].empty()) continue;
    Error error(
        Exit::io,
        r == 0 ? troubles[0]
               : fmt::format("{} cannot reach {} by TCP at {}: the ranks' watchdogs need open ports between "
                             "the hosts of a job; watch.interface names the network to use",
                             name(r), name(0), troubles[r]));
    error.everywhere = true;
    throw error;
  }
}

std::vector<std::string> Watch::doors() const {
  std::vector<std::string> all;
  for (const Door& door : doors_) all.push_back(fmt::format("{}:{}", door.address, door.port));
  return all;
}

// On rank 0. What is wrong, or nothing.
std::string Watch::open_doors(const std::set<std::string>& addresses, const std::string& interface,
                              json& doors) {
  for (const std::string& address : addresses)
    if (const Listener made = listen_at(address); made.fd >= 0) {
      listeners_.push_back(made.fd);
      doors.push_back({{"address", address}, {"port", made.port}});
    }
  if (!listeners_.empty()) return {};
  return interface.empty()
             ? fmt::format("{} cannot listen at {}", name(0), fmt::join(addresses, ", "))
             : fmt::format("watch.interface={}: {} has no such network interface or address; it has {}",
                           interface, name(0), own_networks());
}

// To the watchdog of rank 0; closed if no door opens.
LineSocket Watch::reach() {
  for (const Door& door : doors_) {
    LineSocket line = LineSocket::connect(door.address, door.port, kReach);
    if (!line.open()) continue;
    address_ = door.address;
    line.send({{"kind", "hello"}, {"token", token_}, {"rank", rank_}});
    return line;
  }
  return {};
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

// A job that was suspended as a whole, as Slurm does it, finds all its clocks advanced: nobody is to blame.
void Watch::forgive_suspension() {
  if (looked_ > 0 && now() - looked_ > timeout_ / 2) {
    flight::touch();
    for (auto& peer : peers_)
      if (peer) peer->heard = now();
  }
  looked_ = now();
}

// ---- the other ranks

void Watch::spoke() {
  Peer& hub = *peers_[0];
  double told = 0;
  bool welcomed = false;
  int tries = 0;
  for (bool left = false; !stop_ && !left;) {
    if (now() - told >= period()) {
      told = now();
      hub.line.send(to_json(flight::sign()));
    }
    int status = 0;
    std::string cause;
    if (asked(status, cause)) {
      hub.line.send({{"kind", "fail"}, {"status", status}, {"cause", cause.substr(0, kLongestCause)}});
      // Rank 0 answers with the first cause, which may be another.
      if (!readable(hub.line.fd(), 2)) end_without_hub(status, cause);
    }
    const bool heard = readable(hub.line.fd(), 0.05);
    forgive_suspension();
    if (!heard && now() - hub.heard > timeout_) {
      hub.line.send({{"kind", "silence"}});
      end_without_hub(static_cast<int>(Exit::hang),
                      silent({{name(0), hub.sign, now() - hub.heard}}) + records_hint());
    }
    if (!heard) continue;
    for (const json& line : hub.read()) {
      const std::string kind = kind_of(line);
      take_sign(line, hub.sign);
      welcomed = true;
      if (kind == "bye") left = true;
      if (kind == "end")
        follow(static_cast<int>(maybe_integer(line, "status").value_or(static_cast<int>(Exit::bug))));
    }
    if (hub.line.open() || left) continue;
    // In a crowd of strangers at its door rank 0 may not have heard who this was.
    if (!welcomed && tries++ < kTries) hub.line = reach();
    if (!hub.line.open()) end_without_hub(128 + SIGKILL, death(0, hub));
  }
  hub.line.send({{"kind", "bye"}});
}

// Rank 0 says the cause, after all others have said their own. Where it has done so already, this rank was
// stopped meanwhile and comes too late.
void Watch::follow(int status) {
  Peer& hub = *peers_[0];
  if (!hub.line.open()) leave(status);
  hub.line.send({{"kind", "said"}, {"words", last_words()}});
  keep_record();
  for (const double deadline = now() + 2; hub.line.open() && now() < deadline;)
    if (readable(hub.line.fd(), deadline - now())) hub.read();
  leave(status);
}

void Watch::end_without_hub(int status, const std::string& cause) {
  std::cerr << fmt::format("saddle: {}. {} ends at {}\n", printable_lines(cause), name(rank_),
                           flight::sign().text())
            << std::flush;
  keep_record();
  leave(status);
}

// ---- all ranks

std::string Watch::last_words() const {
  return fmt::format("saddle: {} ends at {}", name(rank_), flight::sign().text());
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
