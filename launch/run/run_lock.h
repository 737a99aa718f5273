// One job at a time in a run's folder.
#pragma once

#include <string>
#include <thread>

namespace saddle {

// Held by one rank of a job: a file that says who holds it and changes every few seconds while the holder
// lives. It needs no locks of the file system, which network file systems lack or forget; it is made by a
// hard link, or where there are none (buckets, SMB, exFAT) exclusively and then read back. What a dead holder
// left is taken over: at once if it ran on this host or was an earlier start of the same Slurm job, else once
// no sign of life has been seen for a while.
class RunLock {
 public:
  struct Timing {
    double beat = 5;       // seconds between signs of life
    double patience = 30;  // without one before a holder on another host counts as dead
    double settle = 1;     // until all have written who try at once where there are no hard links
  };
  // Exit::usage names a living holder; Exit::io, also for a FIFO, a folder or a link in its place.
  explicit RunLock(std::string path) : RunLock(std::move(path), Timing()) {}
  RunLock(std::string path, Timing timing);
  ~RunLock();  // removes the file
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  // Exit::usage if another job has taken this one for dead and the run for itself.
  void require_held() const;

 private:
  void beat(const std::stop_token& stop) const;

  std::string path_;
  Timing timing_;
  std::jthread thread_;
};

// Which way a lock in `folder` is made; tries it there. Exit::io.
bool has_hard_links(const std::string& folder);

}  // namespace saddle
