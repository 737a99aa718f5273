#include "dist/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace saddle {
namespace {

// "rank 1 (a), rank 2 (a) and 14 more".
std::string list(const std::vector<Watched>& ranks) {
  constexpr size_t kNamed = 4;
  std::string text;
  for (size_t i = 0; i < std::min(kNamed, ranks.size()); ++i) text += (i > 0 ? ", " : "") + ranks[i].name;
  return ranks.size() <= kNamed ? text : text + fmt::format(" and {} more", ranks.size() - kNamed);
}

// `behind` computes, and the others wait for it, if they wait.
std::string hangs(const Watched& behind, const std::vector<Watched>& waiting) {
  const std::string text = fmt::format("{} hangs: no progress at {}", behind.name, behind.sign.text());
  return waiting.empty()
             ? text
             : text + fmt::format("; it has not entered {}, in which {} wait{}", waiting[0].sign.waiting,
                                  list(waiting), waiting.size() == 1 ? "s" : "");
}

// All wait, each rank in what its sign says: the fewest are named first.
std::string stuck(const std::vector<Watched>& ranks) {
  std::map<std::string, std::vector<Watched>> by_collective;
  for (const Watched& r : ranks) by_collective[r.sign.waiting].push_back(r);
  std::vector<std::vector<Watched>> groups;
  for (auto& [collective, group] : by_collective) groups.push_back(std::move(group));
  if (groups.size() == 1)
    return fmt::format(
        "{} does not end, though all ranks have entered it: the network may be gone; {} is at {}",
        ranks[0].sign.waiting, ranks[0].name, ranks[0].sign.text());
  std::stable_sort(groups.begin(), groups.end(), [](auto& a, auto& b) { return a.size() < b.size(); });
  std::string text = "the ranks wait in different collectives, one took another path than the others";
  for (const auto& group : groups) text += fmt::format("; {} at {}", list(group), group[0].sign.text());
  return text;
}

}  // namespace

std::string silent(const std::vector<Watched>& ranks) {
  return fmt::format(
      "{} {} given no sign of life for {:.0f} s: stopped, or the host or the network is gone; last at {}",
      list(ranks), ranks.size() == 1 ? "has" : "have", ranks[0].silence, ranks[0].sign.text());
}

std::string judge(const std::vector<Watched>& ranks, double timeout) {
  std::vector<Watched> quiet, waiting;
  double silence = 0;
  for (const Watched& r : ranks) {
    silence = std::max(silence, r.silence);
    if (r.silence > timeout / 2) quiet.push_back(r);
  }
  if (silence > timeout) return silent(quiet);
  // Who may be gone is not judged by what it said last: soon it will be known.
  if (!quiet.empty()) return {};
  // Behind: entered the fewest collectives, and of those that computes rather than waits.
  const auto behind = std::min_element(ranks.begin(), ranks.end(), [](const Watched& a, const Watched& b) {
    return std::make_tuple(a.sign.entered, !a.sign.waiting.empty(), -a.sign.idle) <
           std::make_tuple(b.sign.entered, !b.sign.waiting.empty(), -b.sign.idle);
  });
  const flight::Sign& sign = behind->sign;
  if (sign.limit <= 0 || sign.idle + behind->silence <= sign.limit) return {};
  for (const Watched& r : ranks)
    if (!r.sign.waiting.empty()) waiting.push_back(r);
  return sign.waiting.empty() ? hangs(*behind, waiting) : stuck(waiting);
}

}  // namespace saddle
