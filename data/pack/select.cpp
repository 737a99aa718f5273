#include "data/pack/select.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>

#include "data/feed/sampler.h"
#include "dist/error.h"

namespace saddle {
namespace {

double parse_share(const char* flag, const std::string& text) {  // "10%" -> 0.1
  return std::stod(percentage(flag, text)) / 100;
}

std::vector<int64_t> spread(int64_t count, int64_t samples) {
  std::vector<int64_t> out(size_t(samples ? std::min(samples, count) : count));
  for (size_t i = 0; i < out.size(); ++i) out[i] = int64_t(i) * count / int64_t(out.size());
  return out;
}

struct Halves {
  std::vector<int64_t> chosen, others;
};

// `share` of each class: the first of its members in an order that `seed` shuffles.
Halves divide(const std::vector<int64_t>& from, const Source& source, double share, uint64_t seed) {
  std::map<int64_t, std::vector<int64_t>> classes;
  for (const int64_t i : from) classes[source.label ? source.label(i) : 0].push_back(i);
  Halves out;
  for (const auto& [label, members] : classes) {
    const Shuffle order(int64_t(members.size()), seed);
    const auto wanted = int64_t(std::lround(share * double(members.size())));
    for (int64_t i = 0; i < int64_t(members.size()); ++i)
      (i < wanted ? out.chosen : out.others).push_back(members[size_t(order(i))]);
  }
  std::sort(out.chosen.begin(), out.chosen.end());
  std::sort(out.others.begin(), out.others.end());
  return out;
}

}  // namespace

std::string percentage(const char* flag, const std::string& text) {
  const bool percent = text.ends_with('%');
  double value = 0;
  const char* end = text.data() + text.size() - (percent ? 1 : 0);
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  const bool number = error == std::errc() && rest == end && value > 0;
  require(percent || !number || value < 1, Exit::usage,
          "--{0} {1}: may mean {1} % or {2}; write {1}% or a fraction such as 0.2", flag, text,
          value == 1 ? "all samples" : text + " samples");
  require(number && value < 100, Exit::usage,
          "--{}: expected a share between 0% and 100% such as 10% or 0.1, found {}", flag, text);
  return percent ? text : fmt::format("{:.12g}%", value * 100);
}

std::vector<Selection> select(const PackRequest& request, const Source& source) {
  const bool thinned = request.samples > 0 && request.samples < source.count;
  if (!thinned && request.subset.empty() && request.validation.empty()) return {Selection{}};
  std::vector<int64_t> all = spread(source.count, request.samples);
  if (!request.subset.empty()) {
    const size_t before = all.size();
    all = divide(all, source, parse_share("subset", request.subset), request.seed).chosen;
    require(!all.empty(), Exit::usage, "--subset {}: nothing is left of {} samples{}; choose a larger share",
            request.subset, before, source.label ? ", divided class by class" : "");
  }
  if (request.validation.empty()) return {Selection{.samples = std::move(all)}};
  Halves halves = divide(all, source, parse_share("validation", request.validation), request.seed + 1);
  for (const auto* half : {&halves.chosen, &halves.others})
    require(!half->empty(), Exit::usage,
            "--validation {}: of {} samples{} none would be left for {}; choose a {} share",
            request.validation, all.size(), source.label ? ", divided class by class," : "",
            half == &halves.chosen ? "validation" : "training",
            half == &halves.chosen ? "larger" : "smaller");
  return {{.folder = "train", .samples = std::move(halves.others)},
          {.folder = "validation", .samples = std::move(halves.chosen)}};
}

}  // namespace saddle
