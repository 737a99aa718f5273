// Lines of JSON over TCP, as the watchdogs of the ranks exchange them. Whatever a peer sends is at worst the
// loss of its connection: nothing here throws for it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace saddle {

// Owns its descriptor. One thread at a time.
class LineSocket {
 public:
  LineSocket() = default;
  explicit LineSocket(int fd) : fd_(fd) {}
  ~LineSocket() { close(); }
  LineSocket(LineSocket&& other) noexcept;
  LineSocket& operator=(LineSocket&& other) noexcept;

  // Connected, or not open() if there was no answer within `seconds`.
  static LineSocket connect(const std::string& address, uint16_t port, double seconds);

  bool open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  void close();
  // Without waiting: a peer that does not read loses the line.
  void send(const nlohmann::json& message) const;
  // The objects that have come, one a line; what was there is read in pieces of 64 KiB, one a call. Closes
  // the connection at its end, at a line of more than `most` bytes and at one that is no flat object.
  std::vector<nlohmann::json> receive(size_t most = kLongest);
  // Why receive() closed it; empty: the peer did.
  const std::string& fault() const { return fault_; }

  static constexpr size_t kLongest = 1 << 16;  // bytes of a line

 private:
  int fd_ = -1;
  std::string unread_, fault_;
};

// Something to read, or the peer's end, within `seconds`.
bool readable(int fd, double seconds);

// A non-blocking listener at an IPv4 address, on a port that the kernel chooses; {-1, 0} if there is none.
struct Listener {
  int fd = -1;
  uint16_t port = 0;
};
Listener listen_at(const std::string& address);

// This host's networks that are up, by IPv4, without the loopback.
struct Interface {
  std::string name, address;  // "eth0", "10.0.0.5"
};
std::vector<Interface> interfaces();
// The own address from which packets to `address` leave; empty if there is no route.
std::string address_towards(const std::string& address);

// Of a message: nothing unless the value is there and of the type.
std::optional<int64_t> maybe_integer(const nlohmann::json& message, const char* key);
std::optional<double> maybe_number(const nlohmann::json& message, const char* key);
std::optional<std::string> maybe_text(const nlohmann::json& message, const char* key);

// Compares in a time that does not tell where they differ.
bool same_secret(const std::string& a, const std::string& b);

}  // namespace saddle
