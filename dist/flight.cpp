#include "dist/flight.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>

namespace saddle::flight {
namespace {

constexpr size_t kKept = 2000;

struct Collective {
  uint64_t number;
  std::string name;
  int64_t bytes, step;
  std::string doing;
  double entered, left;  // left: 0 while inside
};

struct Record {
  std::mutex mutex;
  int64_t step = -1;
  std::string doing = "start";
  double limit = 0;
  uint64_t entered = 0, waiting = 0;
  double since = 0, waited = 0;  // when `waiting` began; seconds of all that ended
  double changed = trace::now();
  std::deque<Collective> collectives;
};

Record& record() {
  static Record the_record;
  return the_record;
}

template <class Change>
auto change(Change apply) {
  Record& r = record();
  std::lock_guard lock(r.mutex);
  r.changed = trace::now();
  return apply(r);
}

std::string title(const std::string& name, uint64_t number) {
  return fmt::format("{} (#{})", name, number);
}

const Collective* find(const Record& r, uint64_t number) {
  const uint64_t behind = r.entered - number;
  return number == 0 || behind >= r.collectives.size() ? nullptr : &*(r.collectives.rbegin() + behind);
}

}  // namespace

void step(int64_t number) {
  change([&](Record& r) { r.step = number; });
}

void touch() {
  change([](Record&) {});
}

void limit(double seconds) {
  change([&](Record& r) { r.limit = seconds; });
}

Doing::Doing(const std::string& what) : span_(trace::Lane::compute, what) {
  change([&](Record& r) {
    limit_before_ = r.limit;
    before_ = std::exchange(r.doing, what);
  });
}

Doing::Doing(const std::string& what, double seconds) : Doing(what) {
  limit(seconds);
}

Doing::~Doing() {
  if (std::uncaught_exceptions() > 0) return;  // who reports the exception says where it came from
  change([&](Record& r) {
    r.doing = before_;
    r.limit = limit_before_;
  });
}

uint64_t enter(const std::string& name, int64_t bytes) {
  return change([&](Record& r) {
    if (r.collectives.size() == kKept) r.collectives.pop_front();
    r.collectives.push_back({++r.entered, name, bytes, r.step, r.doing, r.changed, 0});
    return r.entered;
  });
}

void wait(uint64_t number) {
  change([&](Record& r) {
    r.waiting = number;
    r.since = r.changed;
  });
}

void leave(uint64_t number) {
  change([&](Record& r) {
    if (r.waiting == number) r.waited += r.changed - r.since;
    r.waiting = 0;
    if (const Collective* found = find(r, number)) const_cast<Collective*>(found)->left = r.changed;
  });
}

double waited() {
  Record& r = record();
  std::lock_guard lock(r.mutex);
  return r.waited;
}

std::string collective() {
  Record& r = record();
  std::lock_guard lock(r.mutex);
  return r.collectives.empty() ? "" : r.collectives.back().name;
}

Sign sign() {
  Record& r = record();
  std::lock_guard lock(r.mutex);
  Sign made{.step = r.step,
            .doing = r.doing,
            .entered = r.entered,
            .waiting = {},
            .idle = trace::now() - r.changed,
            .limit = r.limit};
  if (const Collective* found = find(r, r.waiting)) made.waiting = title(found->name, r.waiting);
  return made;
}

std::string Sign::text() const {
  std::string made = step >= 0 ? fmt::format("step {}, {}", step, doing) : doing;
  if (!waiting.empty()) made += ", waiting in " + waiting;
  return idle < 1 ? made : made + fmt::format(" for {:.0f} s", idle);
}

std::string dump() {
  Record& r = record();
  std::lock_guard lock(r.mutex);
  const double now = trace::now();
  std::string lines;
  for (const Collective& c : r.collectives) {
    nlohmann::json line = {{"number", c.number}, {"name", c.name},   {"bytes", c.bytes},
                           {"step", c.step},     {"doing", c.doing}, {"entered", c.entered - now}};
    if (c.left > 0) line["left"] = c.left - now;
    lines += line.dump() + "\n";
  }
  return lines;
}

}  // namespace saddle::flight
