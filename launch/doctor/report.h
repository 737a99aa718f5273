// What `saddle doctor` found and how it is said: answers of all ranks become lines, one where ranks agree.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dist/comm.h"

namespace saddle::doctor {

enum class Status { ok, warning, failure };

struct Verdict {
  Status status = Status::ok;
  std::string found;
  std::string advice = {};  // what to do; empty if ok
  auto operator<=>(const Verdict&) const = default;
};

struct Line {
  std::string check;
  Verdict verdict;
  std::vector<int> ranks = {};  // whom it is about; empty: the whole job
};
using Lines = std::vector<Line>;

// What one rank said when asked: facts, or the error that came instead.
struct Answer {
  std::string host;
  nlohmann::json facts = {};
  std::string error = {};
};
using Answers = std::vector<Answer>;  // by rank
std::vector<std::string> hosts_of(const Answers& answers);
std::map<std::string, std::vector<int>> by_host(const std::vector<std::string>& hosts);  // their ranks

// Collective. Every rank's answer, on every rank. What `probe` throws is the error; so is that it has not
// ended within `limit` seconds (a file system that hangs): it is left behind then, and must own what it uses.
Answers ask(const Comm& comm, const std::string& check, double limit, std::function<nlohmann::json()> probe);
// The same on this thread, for what talks to other ranks; the watchdog ends what takes longer than a minute.
Answers ask_together(const Comm& comm, const std::string& check,
                     const std::function<nlohmann::json()>& probe);

// A failure for every error among the answers; ranks with the same one share a line. An error's advice is
// what follows its last semicolon, or else `advice`.
Lines errors(const std::string& check, const Answers& answers, const std::string& advice);
// The errors, and a verdict on each other answer; ranks with the same verdict share a line.
Lines each(const std::string& check, const Answers& answers, const std::string& advice,
           const std::function<Verdict(const nlohmann::json& facts)>& judge);
// The errors if there are any, or else a verdict on all answers together.
Lines all(const std::string& check, const Answers& answers, const std::string& advice,
          const std::function<Verdict(const Answers& answers)>& judge);

Lines join(std::initializer_list<Lines> parts);
// "rank 3 (a)", "ranks 0-3 (a), 4, 6 (b)".
std::string name_ranks(const std::vector<int>& ranks, const std::vector<std::string>& hosts);
inline const char* plural(int64_t n) {
  return n == 1 ? "" : "s";
}

// Lines are the same on all ranks; rank 0 prints them. Groups appear as they are done, so that a hang shows
// where.
class Report {
 public:
  Report(const Comm& comm, bool json);
  void group(const std::string& title, const Lines& lines);
  // Ends the report; `skipped` says what was not looked at. The exit status, the same on all ranks.
  int finish(double seconds, const std::string& skipped);

 private:
  void print(const Line& line) const;
  void collect(const Line& line);
  const Comm& comm_;
  const bool json_;
  std::vector<std::string> hosts_;  // by rank
  nlohmann::json array_ = nlohmann::json::array();
  int64_t counts_[3] = {};
};

}  // namespace saddle::doctor
