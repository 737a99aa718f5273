// What the two halves of the watchdog share: watch.cpp (every rank) and watch_hub.cpp (rank 0).
#pragma once

#include <mutex>
#include <string>
#include <utility>

#include "dist/line_socket.h"
#include "dist/watch.h"

namespace saddle {

// A connection to another rank's watchdog, and what was last heard there.
struct Watch::Peer {
  explicit Peer(LineSocket connected) : line(std::move(connected)) {}

  LineSocket line;
  flight::Sign sign;
  double heard = trace::now();
  bool left = false;  // in good order

  // Messages that have come; afterwards line.open() tells whether the peer is still there.
  std::vector<nlohmann::json> read() {
    auto lines = line.receive();
    if (!lines.empty()) heard = trace::now();
    return lines;
  }
};

// A connection that has not proved yet that it is of this job.
struct Watch::Stranger {
  LineSocket line;
  std::string from;  // its address
  double since = trace::now();
};

// What this rank's main thread asks its watchdog for.
struct Watch::Request {
  std::mutex mutex;
  bool made = false;
  int status = 0;
  std::string cause;
};

inline std::string kind_of(const nlohmann::json& message) {
  return maybe_text(message, "kind").value_or("");
}

nlohmann::json to_json(const flight::Sign& sign);
// Leaves `sign` as it is if the message is none.
void take_sign(const nlohmann::json& message, flight::Sign& sign);

}  // namespace saddle
