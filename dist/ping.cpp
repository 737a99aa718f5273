#include "dist/ping.h"

#include <mpi.h>

#include <algorithm>
#include <chrono>

#include "dist/error.h"
#include "dist/flight.h"
#include "dist/trace.h"

namespace saddle {
namespace {

constexpr int kLarge = 1 << 20, kLargeTrips = 4;

void check(int status, const char* what) {
  require(status == MPI_SUCCESS, Exit::io, "{} failed between two ranks: see what MPI printed", what);
}

// A communicator of its own, so that no message meets one of the collectives'.
class Channel {
 public:
  Channel() { check(MPI_Comm_dup(MPI_COMM_WORLD, &comm_), "MPI_Comm_dup"); }
  ~Channel() { MPI_Comm_free(&comm_); }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  void send(int peer, const void* data, int bytes) const {
    check(MPI_Send(data, bytes, MPI_BYTE, peer, 0, comm_), "MPI_Send");
  }
  void receive(int peer, void* data, int bytes) const {
    check(MPI_Recv(data, bytes, MPI_BYTE, peer, 0, comm_, MPI_STATUS_IGNORE), "MPI_Recv");
  }
  void swap(int peer, const std::vector<char>& out, std::vector<char>& in) const {
    check(MPI_Sendrecv(out.data(), static_cast<int>(out.size()), MPI_BYTE, peer, 0, in.data(),
                       static_cast<int>(in.size()), MPI_BYTE, peer, 0, comm_, MPI_STATUS_IGNORE),
          "MPI_Sendrecv");
  }

 private:
  MPI_Comm comm_ = MPI_COMM_NULL;
};

// The shortest of `trips` runs of `trip`, after one that sets up the connection.
template <class Trip>
double shortest(int trips, Trip trip) {
  trip();
  double best = 1e300;
  for (int i = 0; i < trips; ++i) {
    const double begin = trace::now();
    trip();
    best = std::min(best, trace::now() - begin);
  }
  return best;
}

void measure(const Channel& channel, Link& link, int me, int trips) {
  const bool first = me == link.a;
  const int peer = first ? link.b : link.a;
  double word = 0;
  link.seconds = shortest(trips, [&] {
    if (first) channel.send(peer, &word, sizeof word);
    channel.receive(peer, &word, sizeof word);
    if (!first) channel.send(peer, &word, sizeof word);
  });
  std::vector<char> out(kLarge), in(kLarge);
  link.bytes_per_second = kLarge / shortest(kLargeTrips, [&] { channel.swap(peer, out, in); });
}

double wall_clock() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::vector<std::vector<Link>> tournament(int size) {
  const int seats = size + size % 2, rounds = seats - 1;  // an odd rank out sits beside an empty seat
  std::vector<std::vector<Link>> all;
  for (int round = 0; round < rounds; ++round) {
    std::vector<Link> pairs;
    for (int i = 0; i < seats / 2; ++i) {
      const int a = i == 0 ? seats - 1 : (round + i) % rounds, b = (round + rounds - i) % rounds;
      if (a < size && b < size) pairs.push_back({.a = std::min(a, b), .b = std::max(a, b)});
    }
    all.push_back(std::move(pairs));
  }
  return all;
}

std::vector<Link> pairwise(const Comm& comm, int trips) {
  if (comm.size() == 1) return {};
  const Channel channel;
  std::vector<std::vector<Link>> rounds = tournament(comm.size());
  for (auto& pairs : rounds) {
    flight::touch();
    for (Link& link : pairs)
      if (comm.rank() == link.a || comm.rank() == link.b) measure(channel, link, comm.rank(), trips);
  }
  std::vector<Link> links;
  for (auto& pairs : rounds)
    for (Link& link : pairs) {
      if (link.a != 0) {  // the lower rank of a pair reports it
        double measured[] = {link.seconds, link.bytes_per_second};
        if (comm.rank() == link.a) channel.send(0, measured, sizeof measured);
        if (comm.rank() == 0) channel.receive(link.a, measured, sizeof measured);
        link.seconds = measured[0];
        link.bytes_per_second = measured[1];
      }
      if (comm.rank() == 0) links.push_back(link);
    }
  return links;
}

std::vector<double> clock_offsets(const Comm& comm) {
  constexpr int kTrips = 5;
  if (comm.size() == 1) return {0};
  const Channel channel;
  double theirs = 0;
  if (comm.rank() != 0) {
    for (int i = 0; i < kTrips; ++i) {
      channel.receive(0, &theirs, sizeof theirs);
      theirs = wall_clock();
      channel.send(0, &theirs, sizeof theirs);
    }
    return {};
  }
  std::vector<double> offsets{0};
  for (int peer = 1; peer < comm.size(); ++peer) {
    flight::touch();
    double shortest = 1e300, offset = 0;
    for (int i = 0; i < kTrips; ++i) {
      const double asked = wall_clock();
      channel.send(peer, &asked, sizeof asked);
      channel.receive(peer, &theirs, sizeof theirs);
      const double answered = wall_clock();
      if (answered - asked >= shortest) continue;
      shortest = answered - asked;
      offset = theirs - (asked + answered) / 2;
    }
    offsets.push_back(offset);
  }
  return offsets;
}

}  // namespace saddle
