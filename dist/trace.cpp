#include "dist/trace.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>

#include "dist/file.h"

namespace saddle::trace {
namespace {

using nlohmann::json;

std::atomic<bool> recording{false};
std::mutex mutex;
std::vector<Event> events;
Ranges ranges{};

constexpr const char* kLanes[] = {"compute", "communication", "data"};

// Chrome's event format: complete events ("X") in microseconds.
json chrome(const Event& event, int rank, double zero) {
  json made = {{"ph", "X"},
               {"pid", rank},
               {"tid", static_cast<int>(event.lane)},
               {"name", event.name},
               {"cat", kLanes[static_cast<int>(event.lane)]},
               {"ts", (event.begin - zero) * 1e6},
               {"dur", (event.end - event.begin) * 1e6}};
  if (event.bytes > 0) made["args"] = {{"bytes", event.bytes}};
  return made;
}

json names(int rank, const std::string& host) {
  json made = json::array(
      {{{"ph", "M"},
        {"pid", rank},
        {"name", "process_name"},
        {"args", {{"name", "rank " + std::to_string(rank) + " (" + host + ")"}}}},
       {{"ph", "M"}, {"pid", rank}, {"name", "process_sort_index"}, {"args", {{"sort_index", rank}}}}});
  for (int lane = 0; lane < 3; ++lane)
    made.push_back({{"ph", "M"},
                    {"pid", rank},
                    {"tid", lane},
                    {"name", "thread_name"},
                    {"args", {{"name", kLanes[lane]}}}});
  return made;
}

}  // namespace

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool on() {
  return recording.load(std::memory_order_relaxed);
}

void start() {
  std::lock_guard lock(mutex);
  events.clear();
  recording = true;
}

std::vector<Event> stop() {
  std::lock_guard lock(mutex);
  recording = false;
  return std::move(events);
}

void add(Event event) {
  std::lock_guard lock(mutex);
  if (recording) events.push_back(std::move(event));
}

void set_ranges(Ranges given) {
  ranges = given;
}

Span::Span(Lane lane, std::string name) : lane_(lane), name_(std::move(name)), begin_(on() ? now() : 0) {
  if (ranges.push) ranges.push(name_.c_str());
}

Span::~Span() {
  if (ranges.pop) ranges.pop();
  if (begin_ > 0 && on()) add({lane_, std::move(name_), begin_, now()});
}

void write(const Comm& comm, const std::vector<Event>& mine, const std::string& path) {
  comm.barrier();
  const double barrier = now();
  // Rank 0's first event is the origin, reckoned from the barrier that all ranks left together.
  const double before = mine.empty() ? 0 : barrier - mine.front().begin;
  const double zero = barrier - std::stod(comm.broadcast_text(std::to_string(before)));
  json all = names(comm.rank(), comm.host());
  for (const Event& event : mine) all.push_back(chrome(event, comm.rank(), zero));
  const std::vector<std::string> parts = comm.all_gather_text(all.dump(), "trace");
  comm.together([&] {
    if (comm.rank() != 0) return;
    std::string text = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n";
    for (size_t r = 0; r < parts.size(); ++r)
      text += (r > 0 ? ",\n" : "") + parts[r].substr(1, parts[r].size() - 2);
    write_file(path, text + "\n]}\n");
  });
}

}  // namespace saddle::trace
