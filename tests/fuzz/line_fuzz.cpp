// What a stranger sends to the watchdog's hub, in pieces whose lengths the first byte gives.
#include <sys/socket.h>
#include <unistd.h>

#include "dist/line_socket.h"
#include "tests/fuzz/fuzz.h"

namespace saddle::fuzz {
namespace {

void use(const nlohmann::json& message) {
  check(message.is_object(), "an object");
  for (const auto& [key, value] : message.items()) {
    check(value.is_primitive(), "a flat object");
    static_cast<void>(maybe_integer(message, key.c_str()));
    static_cast<void>(maybe_number(message, key.c_str()));
    if (const auto text = maybe_text(message, key.c_str())) same_secret(*text, "0123456789abcdef");
  }
}

void run(std::string_view bytes, size_t piece, size_t most) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) std::abort();
  LineSocket line(ends[0]);
  for (size_t at = 0; at < bytes.size() && line.open(); at += piece) {
    const std::string_view sent = bytes.substr(at, piece);
    if (write(ends[1], sent.data(), sent.size()) != ssize_t(sent.size())) std::abort();
    for (const nlohmann::json& message : line.receive(most)) use(message);
  }
  if (line.open()) line.send({{"kind", bytes}});
  close(ends[1]);
  for (int i = 0; i < 2 && line.open(); ++i) line.receive(most);
  check(!line.open(), "a connection that ends with its peer");
}

}  // namespace
}  // namespace saddle::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saddle;
  if (size == 0) return 0;
  constexpr size_t kLongest[] = {32, 512, 4096, LineSocket::kLongest};
  fuzz::run(fuzz::view(data + 1, size - 1), 1 + (data[0] >> 2) * 7, kLongest[data[0] & 3]);
  return 0;
}
