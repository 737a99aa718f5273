// What a rank did when: spans in three lanes, collected while a trace is on and written as one Chrome trace
// (chrome://tracing, Perfetto) of all ranks. Process-wide, like the log; a span costs one load while off.
#pragma once

#include <string>
#include <vector>

#include "dist/comm.h"

namespace saddle::trace {

enum class Lane { compute, communication, data };

struct Event {
  Lane lane;
  std::string name;
  double begin, end;  // seconds of `now`
  int64_t bytes = 0;  // moved, for communication
};

double now();  // seconds of a steady clock, this process's own

bool on();
void start();               // forgets what an earlier trace recorded
std::vector<Event> stop();  // in order of their ends
void add(Event event);      // ignored while off; from any thread

// Where CUDA is, spans are NVTX ranges too, with or without a trace.
struct Ranges {
  void (*push)(const char* name);
  void (*pop)();
};
void set_ranges(Ranges ranges);

// From construction to destruction.
class Span {
 public:
  Span(Lane lane, std::string name);
  ~Span();
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

 private:
  Lane lane_;
  std::string name_;
  double begin_;
};

// Collective. Rank 0 writes all ranks' events to `path`; a process of the trace is a rank, a thread a lane.
// Clocks are aligned by a barrier, to within its latency. Exit::io if the file cannot be written.
void write(const Comm& comm, const std::vector<Event>& events, const std::string& path);

}  // namespace saddle::trace
