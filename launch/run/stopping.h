// How a run is asked to stop before its last step: by a signal to any rank, or by the clock. All ranks agree
// on the step after which they stop.
#pragma once

#include <optional>
#include <string>

#include "dist/comm.h"

namespace saddle {

// SIGUSR1, SIGUSR2 and SIGTERM (schedulers), SIGINT (Ctrl-C), SIGHUP (the terminal is gone; not under nohup)
// and SIGXCPU (ulimit -t) are taken from here on until the end of the scope: the first one asks the run to
// stop, a later one but SIGHUP and SIGXCPU ends the process at once with 128 + its number. What comes within
// a second of the first is the same request: launchers and schedulers both forward it. One at a time.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  static int received();  // the first one's number; 0: none
};

// Seconds of "90s", "30m", "12h", "1d", "HH:MM:SS" or "D-HH:MM:SS" (what Slurm prints). Exit::usage names
// `flag`.
double parse_duration(const std::string& text, const std::string& flag);

// What some rank knows before a step and all know after it, at the price of one small sum that runs beside
// the step.
class Agreement {
 public:
  explicit Agreement(Comm host) : host_(std::move(host)) {}

  struct Flags {
    bool signalled = false;  // on this rank; on any, once agreed
    bool late = false;       // likewise
    bool written = true;     // on this rank; on all, once agreed
    bool stop() const { return signalled || late; }
  };
  // Collective, around each step.
  void ask(const Flags& mine);
  Flags agree();

 private:
  Comm host_;
  torch::Tensor sums_;
  Wait wait_;
};

// The clock of --max-time, which started with the process.
class Deadline {
 public:
  explicit Deadline(std::optional<double> seconds);
  // Whether another step of `step` seconds would leave less time than a checkpoint that took `checkpoint`.
  bool late(double step, double checkpoint) const;

 private:
  std::optional<double> end_;  // of trace::now()
};

}  // namespace saddle
