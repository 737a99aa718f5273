// saddle flight: reads the flight records that the ranks of a failed job left, and says which rank did not
// enter the collective in which the others wait.
#include <filesystem>
#include <iostream>
#include <map>
#include <regex>

#include "dist/error.h"
#include "dist/file.h"
#include "dist/json.h"
#include "dist/utf8.h"
#include "launch/commands.h"

namespace saddle {
namespace {

using nlohmann::json;

struct Record {
  int64_t rank = 0;
  json last;  // the collective entered last; null if none was
  int64_t entered() const { return last.is_null() ? 0 : integer_at(last, "number"); }
  bool inside() const { return !last.is_null() && !last.contains("left"); }
};

// The collective entered last, with all that is shown of it; null if there is none.
json last_of(const std::string& path) {
  constexpr int64_t kMost = int64_t{64} << 20;
  const std::string text = read_file(path, kMost);
  const size_t end = text.find_last_not_of('\n');
  if (end == std::string::npos) return {};
  const size_t begin = text.rfind('\n', end);  // or none: then npos + 1 is 0
  try {
    json last = parse_json(std::string_view(text).substr(begin + 1, end - begin), "");
    count_at(last, "number"), integer_at(last, "step");
    text_at(last, "name"), text_at(last, "doing");
    number_at(last, "entered");
    if (last.contains("left")) number_at(last, "left");
    return last;
  } catch (const Error& error) {
    fail(Exit::data, "'{}' does not end in a line of a flight record: {}: is it whole?", path, error.what());
  }
}

std::vector<Record> read_records(const std::string& run) {
  static const std::regex names("flight-([0-9]{1,9})\\.jsonl");
  std::map<int64_t, Record> by_rank;
  if (std::filesystem::is_directory(run))
    for (const auto& entry : std::filesystem::directory_iterator(run)) {
      const std::string name = entry.path().filename();
      std::smatch digits;
      if (!std::regex_match(name, digits, names)) continue;
      const int64_t rank = std::stoll(digits[1]);
      by_rank.emplace(rank, Record{.rank = rank, .last = last_of(entry.path())});
    }
  require(!by_rank.empty(), Exit::usage,
          "no flight records in '{}': expected files flight-RANK.jsonl, which ranks leave in the run folder "
          "when a "
          "job of several ranks fails",
          run);
  std::vector<Record> records;
  for (auto& [rank, record] : by_rank) records.push_back(std::move(record));
  return records;
}

std::string ranks(const std::vector<int64_t>& list) {
  std::string text = list.size() == 1 ? "rank" : "ranks";
  for (size_t i = 0; i < list.size(); ++i) text += fmt::format("{} {}", i > 0 ? "," : "", list[i]);
  return text;
}

// Who entered fewer collectives than others, and which one the others are in.
std::string verdict(const std::vector<Record>& records) {
  int64_t most = 0;
  for (const Record& r : records) most = std::max(most, r.entered());
  std::vector<int64_t> behind, ahead;
  const Record* waiting = nullptr;
  for (const Record& r : records) {
    (r.entered() < most ? behind : ahead).push_back(r.rank);
    if (r.entered() == most) waiting = &r;
  }
  const auto name = [](const Record& r) {
    return fmt::format("{} (#{}, step {}, {})", text_at(r.last, "name"), r.entered(),
                       integer_at(r.last, "step"), text_at(r.last, "doing"));
  };
  if (!behind.empty())
    return fmt::format("{} never entered {}, which {} did", ranks(behind), name(*waiting), ranks(ahead));
  if (waiting && waiting->inside())
    return fmt::format("all ranks with a record had entered {}", name(*waiting));
  return "all ranks with a record had entered the same collectives and left them";
}

// Ranks below the highest that left a record, and left none.
std::string missing(const std::vector<Record>& records) {
  constexpr size_t kNamed = 1000;
  std::vector<int64_t> gaps;
  int64_t next = 0, count = 0;
  for (const Record& r : records) {
    count += r.rank - next;
    for (; next < r.rank && gaps.size() < kNamed; ++next) gaps.push_back(next);
    next = r.rank + 1;
  }
  if (gaps.empty()) return "";
  const int64_t more = count - int64_t(gaps.size());
  return fmt::format("; {}{} left no record: stopped, killed or out of reach", ranks(gaps),
                     more > 0 ? fmt::format(" and {} more", more) : "");
}

int flight(const std::string& run) {
  const std::vector<Record> records = read_records(run);
  std::cout << fmt::format("{:>4}  {:>9}  {:<28} {:>8}  {:<20} {}\n", "rank", "entered", "last collective",
                           "step", "doing", "state");
  for (const Record& r : records)
    if (r.last.is_null())
      std::cout << fmt::format("{:>4}  {:>9}\n", r.rank, 0);
    else
      std::cout << fmt::format("{:>4}  {:>9}  {:<28} {:>8}  {:<20} {}\n", r.rank, r.entered(),
                               printable(text_at(r.last, "name")), integer_at(r.last, "step"),
                               printable(text_at(r.last, "doing")),
                               r.inside() ? fmt::format("inside for {:.1f} s", -number_at(r.last, "entered"))
                                          : fmt::format("left {:.1f} s ago", -number_at(r.last, "left")));
  std::cout << printable(verdict(records)) << missing(records) << std::endl;
  return 0;
}

}  // namespace

void add_flight(CLI::App& app, Command& chosen) {
  auto run = std::make_shared<std::string>();
  CLI::App* sub = app.add_subcommand(
      "flight", "Read the flight records of a failed job: which rank did not enter which collective");
  sub->add_option("run", *run, "Run folder")->required();
  sub->callback([run, &chosen] {
    chosen = [run](World& world) {
      int status = 0;
      world.comm("cpu").together([&] { status = world.rank() == 0 ? flight(*run) : 0; });
      return status;
    };
  });
}

}  // namespace saddle
