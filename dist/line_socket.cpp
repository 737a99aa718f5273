#include "dist/line_socket.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <utility>

namespace saddle {
namespace {

using nlohmann::json;

sockaddr_in ipv4(const std::string& address, uint16_t port) {
  sockaddr_in made{};
  made.sin_family = AF_INET;
  made.sin_port = htons(port);
  inet_pton(AF_INET, address.c_str(), &made.sin_addr);
  return made;
}

std::string text_of(const sockaddr_in& address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
  return text.data();
}

sockaddr* general(sockaddr_in& address) {
  return reinterpret_cast<sockaddr*>(&address);
}

// Messages are flat: what is nested in them is not even parsed into values.
std::optional<json> flat_object(const std::string& line) {
  bool flat = true;
  const auto look = [&](int depth, json::parse_event_t event, json&) {
    if (depth > 0 &&
        (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start))
      flat = false;
    return flat;
  };
  json parsed = json::parse(line, look, /*allow_exceptions=*/false);
  if (!flat || !parsed.is_object()) return {};
  return parsed;
}

}  // namespace

LineSocket::LineSocket(LineSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), unread_(std::move(other.unread_)), fault_(std::move(other.fault_)) {}

LineSocket& LineSocket::operator=(LineSocket&& other) noexcept {
  if (this == &other) return *this;
  close();
  fd_ = std::exchange(other.fd_, -1);
  unread_ = std::move(other.unread_);
  fault_ = std::move(other.fault_);
  return *this;
}

LineSocket LineSocket::connect(const std::string& address, uint16_t port, double seconds) {
  LineSocket made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in to = ipv4(address, port);
  int status = ::connect(made.fd_, general(to), sizeof to) == 0 ? 0 : errno;
  if (status == EINPROGRESS) {
    pollfd one{.fd = made.fd_, .events = POLLOUT, .revents = 0};
    socklen_t length = sizeof status;
    if (poll(&one, 1, static_cast<int>(seconds * 1000)) > 0)
      getsockopt(made.fd_, SOL_SOCKET, SO_ERROR, &status, &length);
  }
  if (status != 0) made.close();
  return made;
}

void LineSocket::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void LineSocket::send(const json& message) const {
  const std::string line = message.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  [[maybe_unused]] const ssize_t sent = ::send(fd_, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

std::vector<json> LineSocket::receive(size_t most) {
  std::vector<char> buffer(kLongest);
  const ssize_t got = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  const bool ended = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
  if (got > 0) unread_.append(buffer.data(), static_cast<size_t>(got));
  std::vector<json> lines;
  size_t from = 0;
  for (size_t end; fault_.empty() && (end = unread_.find('\n', from)) != std::string::npos; from = end + 1) {
    if (end - from > most) break;
    auto line = flat_object(unread_.substr(from, end - from));
    if (line)
      lines.push_back(std::move(*line));
    else
      fault_ = "a line that is no message";
  }
  unread_.erase(0, from);
  if (fault_.empty() && unread_.size() > most)
    fault_ = "a line of more than " + std::to_string(most) + " bytes";
  if (ended || !fault_.empty()) close();
  return lines;
}

bool readable(int fd, double seconds) {
  pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&one, 1, static_cast<int>(seconds * 1000)) > 0;
}

Listener listen_at(const std::string& address) {
  constexpr int kBacklog = 4096;  // of connections that are not accepted yet: all ranks come at once
  Listener made{.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  sockaddr_in at = ipv4(address, 0);
  socklen_t length = sizeof at;
  if (bind(made.fd, general(at), length) == 0 && ::listen(made.fd, kBacklog) == 0 &&
      getsockname(made.fd, general(at), &length) == 0) {
    made.port = ntohs(at.sin_port);
    return made;
  }
  if (made.fd >= 0) ::close(made.fd);
  return {};
}

std::vector<Interface> interfaces() {
  std::vector<Interface> found;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return {};
  for (const ifaddrs* i = list; i; i = i->ifa_next)
    if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET && (i->ifa_flags & IFF_UP) &&
        !(i->ifa_flags & IFF_LOOPBACK))
      found.push_back({i->ifa_name, text_of(*reinterpret_cast<const sockaddr_in*>(i->ifa_addr))});
  freeifaddrs(list);
  return found;
}

// A datagram socket is bound to its way by connect(), and sends nothing.
std::string address_towards(const std::string& address) {
  const LineSocket probe(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in to = ipv4(address, 9), own{};
  socklen_t length = sizeof own;
  if (::connect(probe.fd(), general(to), sizeof to) != 0) return {};
  if (getsockname(probe.fd(), general(own), &length) != 0) return {};
  return text_of(own);
}

std::optional<int64_t> maybe_integer(const json& message, const char* key) {
  const auto at = message.find(key);
  if (at == message.end() || !at->is_number_integer()) return {};
  if (at->is_number_unsigned() && at->get<uint64_t>() > uint64_t{INT64_MAX}) return {};
  return at->get<int64_t>();
}

std::optional<double> maybe_number(const json& message, const char* key) {
  const auto at = message.find(key);
  if (at == message.end() || !at->is_number()) return {};
  const double value = at->get<double>();
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<std::string> maybe_text(const json& message, const char* key) {
  const auto at = message.find(key);
  if (at == message.end() || !at->is_string()) return {};
  return at->get<std::string>();
}

bool same_secret(const std::string& a, const std::string& b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return difference == 0;
}

}  // namespace saddle
