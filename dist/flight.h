// The flight record: what this rank is doing, and which collectives it has entered and left. The watchdogs
// (watch.h) tell each other of it, so that a hang has a name. Process-wide, like the log.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dist/trace.h"

namespace saddle::flight {

void step(int64_t number);  // what is done from here on belongs to this step; -1: to none

void touch();  // counts as progress

// Seconds without any entry in this record after which this rank counts as hanging; 0: never.
void limit(double seconds);

// What the rank does until the end of the scope, such as "D backward"; a span of the trace too. An exception
// on its way out leaves it standing, for its report.
class Doing {
 public:
  explicit Doing(const std::string& what);
  // With a limit of its own, for what takes longer than a step.
  Doing(const std::string& what, double limit);
  ~Doing();
  Doing(const Doing&) = delete;
  Doing& operator=(const Doing&) = delete;

 private:
  std::string before_;
  double limit_before_;
  trace::Span span_;
};

// Collectives are numbered in the order in which a rank enters them, which is the same on all ranks.
// `enter` before it starts, `wait` when this thread begins to wait for it, `leave` when it is done.
uint64_t enter(const std::string& name, int64_t bytes);
void wait(uint64_t number);
void leave(uint64_t number);
double waited();  // seconds between `wait` and `leave`, in all
// "D bucket 0": the collective entered last, by which backends call what they are asked to do.
std::string collective();

// What the other ranks hear of this one.
struct Sign {
  int64_t step = -1;
  std::string doing = "start";
  uint64_t entered = 0;  // collectives
  std::string waiting;   // in which collective; empty while computing
  double idle = 0;       // seconds since the last entry
  double limit = 0;
  std::string text() const;  // "step 12, D backward, waiting in D bucket 0 (#57) for 3 s"
};
Sign sign();

// The last 2,000 collectives as JSON lines: number, name, bytes, step, doing, and the seconds before now at
// which it was entered and left (absent while inside).
std::string dump();

}  // namespace saddle::flight
