// A limit to how long ranks that have all started may take to reach each other, before their watchdog is on
// duty.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

namespace saddle {

// Unless it is destroyed within a minute, ends the process with Exit::hang; rank 0 says so, and what networks
// its host has.
class Meeting {
 public:
  explicit Meeting(int rank);
  ~Meeting();
  Meeting(const Meeting&) = delete;
  Meeting& operator=(const Meeting&) = delete;

 private:
  void await(int rank);

  std::mutex mutex_;
  std::condition_variable changed_;
  bool met_ = false;
  std::thread thread_;
};

}  // namespace saddle
