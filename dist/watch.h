// The watchdog of a job: one thread a rank, in touch with rank 0's over a TCP connection of its own, apart
// from MPI and NCCL. It ends all ranks, naming the first cause, when one dies, fails, hangs or is cut off;
// neither OpenMPI nor NCCL notices a stopped process.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "dist/judge.h"

namespace saddle {

class LineSocket;

class Watch {
 public:
  using Exchange = std::function<std::vector<std::string>(const std::string& mine)>;  // text of all ranks
  // Collective, through `exchange`. Rank 0 listens at the addresses by which the other hosts reach it, on one
  // host at 127.0.0.1, until all are there; or on the network `interface`, a name or an address. A connection
  // must begin with the job's random token. Exit::io if a rank cannot reach rank 0 by TCP.
  Watch(int rank, int size, std::string host, const Exchange& exchange, const std::string& interface = "");
  // After a barrier: no rank may be in need of another any more.
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void timeout(double seconds) { timeout_ = seconds; }
  // Where each rank leaves its flight record, flight-RANK.jsonl, when the job fails.
  void records(const std::string& folder);
  // Where rank 0 listened until all were there: "10.0.0.1:4711".
  std::vector<std::string> doors() const;
  // An address of rank 0 by which this rank reaches it.
  const std::string& address() const { return address_; }
  // Ends the job: all ranks leave with `status`, and the last line printed is `cause` and where it was.
  [[noreturn]] void fail(int status, const std::string& cause);

 private:
  struct Peer;
  struct Stranger;
  struct Request;
  struct Door {
    std::string address;
    uint16_t port;
  };
  std::string name(int rank) const;
  void meet(const Exchange& exchange, const std::string& interface);
  std::string open_doors(const std::set<std::string>& addresses, const std::string& interface,
                         nlohmann::json& doors);
  void close_doors();
  LineSocket reach();
  void hub();
  void spoke();
  void listen_to_all();
  void accept();
  void admit();
  void turn_away(const std::string& reason);
  int rank_of(const nlohmann::json& hello) const;
  void hear(int rank);
  void forgive_suspension();
  std::string last_words() const;
  bool speaks(int rank, std::vector<std::string>& words) const;
  void keep_record() const;
  std::string folder() const;
  std::string records_hint() const;
  std::string death(int rank, const Peer& peer) const;
  [[noreturn]] void conclude(int status, const std::string& cause);
  [[noreturn]] void follow(int status);
  [[noreturn]] void end_without_hub(int status, const std::string& cause);
  [[noreturn]] void leave(int status) const;
  bool asked(int& status, std::string& cause);
  double period() const;

  const int rank_, size_;
  std::vector<std::string> hosts_;
  std::string token_, address_, folder_;
  std::atomic<double> timeout_{60};
  std::vector<std::unique_ptr<Peer>> peers_;  // on rank 0, by rank; elsewhere only rank 0's
  std::vector<int> listeners_;                // of rank 0, until all ranks are there
  std::deque<Stranger> strangers_;            // in the order in which they came
  bool warned_ = false;                       // of a stranger
  std::vector<Door> doors_;                   // of rank 0, for the others
  double looked_ = 0, terminated_since_ = 0;  // of `now`
  std::unique_ptr<Request> request_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace saddle
