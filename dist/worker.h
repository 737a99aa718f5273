// One thread that runs jobs in the order in which they came.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace saddle {

class Worker {
 public:
  Worker();
  ~Worker();  // after the jobs it was given
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  void give(std::function<void()> job);  // from any thread; the job must not throw

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace saddle
