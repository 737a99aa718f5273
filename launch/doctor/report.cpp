#include "launch/doctor/report.h"

#include <stdlib.h>
#include <unistd.h>

#include <condition_variable>
#include <iostream>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

#include "dist/error.h"
#include "dist/flight.h"
#include "dist/utf8.h"

namespace saddle::doctor {
namespace {

using nlohmann::json;
using Probe = std::function<json()>;

constexpr const char* kNames[] = {"ok", "warning", "failure"};
constexpr double kGrace = 60;  // seconds that collectives may take
constexpr size_t kWidth = 110, kIndent = 26;

Answer attempt(const Probe& probe) {
  try {
    return {.host = {}, .facts = probe()};
  } catch (const c10::Error& e) {
    return {.host = {}, .facts = {}, .error = e.what_without_backtrace()};
  } catch (const std::exception& e) {
    return {.host = {}, .facts = {}, .error = e.what()};
  }
}

// A thread left behind may still be at work when the program ends: no destructor may run under its feet.
void leave_quietly() {
  static const int once = on_exit(
      [](int status, void*) {
        std::cout.flush();
        _exit(status);
      },
      nullptr);
  static_cast<void>(once);
}

Answer attempt_within(double limit, Probe probe) {
  struct Shared {
    std::mutex mutex;
    std::condition_variable done;
    bool is_done = false;
    Answer answer;
  };
  auto shared = std::make_shared<Shared>();
  std::thread([shared, probe = std::move(probe)] {
    Answer answer = attempt(probe);
    std::lock_guard lock(shared->mutex);
    shared->answer = std::move(answer);
    shared->is_done = true;
    shared->done.notify_all();
  }).detach();
  std::unique_lock lock(shared->mutex);
  if (shared->done.wait_for(lock, std::chrono::duration<double>(limit), [&] { return shared->is_done; }))
    return shared->answer;
  leave_quietly();
  return {.host = {},
          .facts = {},
          .error = fmt::format("no answer within {:g} s: what it asked hangs, or is very slow; look at the "
                               "file system and the host, or pass a longer --timeout",
                               limit)};
}

Answers exchange(const Comm& comm, const std::string& check, const Answer& mine) {
  const json packed = {{"host", comm.host()}, {"facts", mine.facts}, {"error", mine.error}};
  Answers answers;
  for (const std::string& text :
       comm.all_gather_text(packed.dump(-1, ' ', false, json::error_handler_t::replace), check)) {
    const json in = json::parse(text);
    answers.push_back({.host = in.at("host"), .facts = in.at("facts"), .error = in.at("error")});
  }
  return answers;
}

Verdict verdict_of_error(const std::string& error, const std::string& advice) {
  const size_t cut = error.rfind("; ");
  if (cut == std::string::npos) return {Status::failure, error, advice};
  return {Status::failure, error.substr(0, cut), error.substr(cut + 2)};
}

// One line a verdict; of the whole job where all ranks share it. In the order of their lowest ranks.
Lines fold(const std::string& check, const std::map<int, Verdict>& by_rank, size_t size) {
  std::map<Verdict, std::vector<int>> holders;
  for (const auto& [rank, verdict] : by_rank) holders[verdict].push_back(rank);
  Lines lines;
  for (const auto& [verdict, ranks] : holders)
    lines.push_back({check, verdict, ranks.size() == size ? std::vector<int>{} : ranks});
  std::sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.ranks < b.ranks; });
  return lines;
}

// `text` in lines of kWidth, all but the first indented.
std::string wrap(const std::string& text) {
  std::string out, word;
  size_t column = kIndent;
  for (std::istringstream in(text); in >> word;) {
    word = printable(word);  // names of hosts, and what their programs say
    const bool fits = column + word.size() < kWidth;
    if (column > kIndent) out += fits ? " " : "\n" + std::string(kIndent, ' ');
    if (!fits) column = kIndent;
    out += word;
    column += word.size() + 1;
  }
  return out;
}

}  // namespace

std::vector<std::string> hosts_of(const Answers& answers) {
  std::vector<std::string> hosts;
  for (const Answer& a : answers) hosts.push_back(a.host);
  return hosts;
}

std::map<std::string, std::vector<int>> by_host(const std::vector<std::string>& hosts) {
  std::map<std::string, std::vector<int>> ranks;
  for (size_t r = 0; r < hosts.size(); ++r) ranks[hosts[r]].push_back(int(r));
  return ranks;
}

Answers ask(const Comm& comm, const std::string& check, double limit, Probe probe) {
  const flight::Doing doing("doctor: " + check, limit + kGrace);
  return exchange(comm, check, attempt_within(limit, std::move(probe)));
}

Answers ask_together(const Comm& comm, const std::string& check, const Probe& probe) {
  const flight::Doing doing("doctor: " + check, kGrace);
  return exchange(comm, check, attempt(probe));
}

Lines each(const std::string& check, const Answers& answers, const std::string& advice,
           const std::function<Verdict(const json&)>& judge) {
  std::map<int, Verdict> by_rank;
  for (size_t r = 0; r < answers.size(); ++r)
    by_rank[int(r)] =
        answers[r].error.empty() ? judge(answers[r].facts) : verdict_of_error(answers[r].error, advice);
  return fold(check, by_rank, answers.size());
}

Lines errors(const std::string& check, const Answers& answers, const std::string& advice) {
  std::map<int, Verdict> by_rank;
  for (size_t r = 0; r < answers.size(); ++r)
    if (!answers[r].error.empty()) by_rank[int(r)] = verdict_of_error(answers[r].error, advice);
  return fold(check, by_rank, answers.size());
}

Lines all(const std::string& check, const Answers& answers, const std::string& advice,
          const std::function<Verdict(const Answers&)>& judge) {
  Lines lines = errors(check, answers, advice);
  if (lines.empty()) lines.push_back({check, judge(answers)});
  return lines;
}

Lines join(std::initializer_list<Lines> parts) {
  Lines whole;
  for (const Lines& part : parts) whole.insert(whole.end(), part.begin(), part.end());
  return whole;
}

std::string name_ranks(const std::vector<int>& ranks, const std::vector<std::string>& hosts) {
  std::map<std::string, std::vector<int>> by_host;
  for (const int r : ranks) by_host[hosts[size_t(r)]].push_back(r);
  std::string text;
  for (const auto& [host, of_host] : by_host) {
    std::string list;
    for (size_t i = 0, end = 0; i < of_host.size(); i = end) {
      for (end = i + 1; end < of_host.size() && of_host[end] == of_host[end - 1] + 1;) ++end;
      list += fmt::format("{}{}", list.empty() ? "" : ", ", of_host[i]);
      if (end > i + 1) list += fmt::format("-{}", of_host[end - 1]);
    }
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", list, host);
  }
  return fmt::format("rank{} {}", plural(int64_t(ranks.size())), text);
}

Report::Report(const Comm& comm, bool json)
    : comm_(comm), json_(json), hosts_(comm.all_gather_text(comm.host(), "hosts")) {}

void Report::group(const std::string& title, const Lines& lines) {
  for (const Line& line : lines) ++counts_[size_t(line.verdict.status)];
  if (comm_.rank() != 0 || lines.empty()) return;
  if (!json_) std::cout << title << "\n";
  for (size_t i = 0; i < lines.size(); ++i) {
    json_ ? collect(lines[i]) : print(lines[i]);
    const std::string& advice = lines[i].verdict.advice;
    const bool last =
        i + 1 == lines.size() || lines[i + 1].verdict.advice != advice;  // once for all it helps
    if (!json_ && last && !advice.empty())
      std::cout << fmt::format("{:>{}}{}\n", "-> ", kIndent, wrap(advice));
  }
  std::cout.flush();
}

int Report::finish(double seconds, const std::string& skipped) {
  const int64_t ok = counts_[0], warnings = counts_[1], failures = counts_[2];
  if (comm_.rank() == 0 && json_)
    std::cout << printable_json(array_.dump(1, ' ', false, json::error_handler_t::replace)) << std::endl;
  if (comm_.rank() == 0 && !json_) {
    std::cout << fmt::format("\n{} failure{}, {} warning{}, {} ok, in {:.1f} s\n", failures, plural(failures),
                             warnings, plural(warnings), ok, seconds);
    if (!skipped.empty()) std::cout << "not looked at: " << printable(skipped) << "\n";
    std::cout.flush();
  }
  comm_.barrier();  // mpirun ends the others when the first rank leaves: rank 0 has spoken by then
  return failures > 0 ? 1 : 0;
}

void Report::collect(const Line& line) {
  json entry = {{"check", line.check},
                {"status", kNames[size_t(line.verdict.status)]},
                {"found", line.verdict.found},
                {"advice", line.verdict.advice}};
  for (const int r : line.ranks) {
    entry["ranks"].push_back(r);
    entry["hosts"].push_back(hosts_[size_t(r)]);
  }
  array_.push_back(std::move(entry));
}

void Report::print(const Line& line) const {
  const std::string who = line.ranks.empty() ? "" : name_ranks(line.ranks, hosts_) + ": ";
  std::cout << fmt::format("  {:<8} {:<14} {}\n", kNames[size_t(line.verdict.status)], line.check,
                           wrap(who + line.verdict.found));
}

}  // namespace saddle::doctor
