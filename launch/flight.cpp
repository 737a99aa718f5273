// saddle flight: reads the flight records that the ranks of a failed job left, and says which rank did not
// enter the collective in which the others wait.
#include <filesystem>
#include <iostream>
#include <map>
#include <sstream>

#include "dist/error.h"
#include "dist/file.h"
#include "launch/commands.h"

namespace saddle {
namespace {

using nlohmann::json;

struct Record {
  int rank = 0;
  json last;  // the collective entered last; null if none was
  uint64_t entered() const { return last.is_null() ? 0 : last.at("number").get<uint64_t>(); }
  bool inside() const { return !last.is_null() && !last.contains("left"); }
};

std::vector<Record> read_records(const std::string& run) {
  std::map<int, Record> by_rank;
  if (std::filesystem::is_directory(run))
    for (const auto& entry : std::filesystem::directory_iterator(run)) {
      const std::string name = entry.path().filename();
      int rank = 0;
      if (std::sscanf(name.c_str(), "flight-%d.jsonl", &rank) != 1) continue;
      Record record{.rank = rank, .last = {}};
      std::istringstream lines(read_file(entry.path()));
      for (std::string line; std::getline(lines, line);) record.last = json::parse(line, nullptr, false);
      require(!record.last.is_discarded(), Exit::data, "'{}' does not end in a line of JSON: is it whole?",
              entry.path().string());
      by_rank.emplace(rank, std::move(record));
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

std::string ranks(const std::vector<int>& list) {
  std::string text = list.size() == 1 ? "rank" : "ranks";
  for (size_t i = 0; i < list.size(); ++i) text += fmt::format("{} {}", i > 0 ? "," : "", list[i]);
  return text;
}

// Who entered fewer collectives than others, and which one the others are in.
std::string verdict(const std::vector<Record>& records) {
  uint64_t most = 0;
  for (const Record& r : records) most = std::max(most, r.entered());
  std::vector<int> behind, ahead;
  const Record* waiting = nullptr;
  for (const Record& r : records) {
    (r.entered() < most ? behind : ahead).push_back(r.rank);
    if (r.entered() == most) waiting = &r;
  }
  const auto name = [](const Record& r) {
    return fmt::format("{} (#{}, step {}, {})", r.last.at("name").get<std::string>(), r.entered(),
                       r.last.at("step").get<int64_t>(), r.last.at("doing").get<std::string>());
  };
  if (!behind.empty())
    return fmt::format("{} never entered {}, which {} did", ranks(behind), name(*waiting), ranks(ahead));
  if (waiting && waiting->inside())
    return fmt::format("all ranks with a record had entered {}", name(*waiting));
  return "all ranks with a record had entered the same collectives and left them";
}

// Ranks below the highest that left a record, and left none.
std::string missing(const std::vector<Record>& records) {
  std::vector<int> gaps;
  int next = 0;
  for (const Record& r : records) {
    for (; next < r.rank; ++next) gaps.push_back(next);
    ++next;
  }
  return gaps.empty() ? "" : fmt::format("; {} left no record: stopped, killed or out of reach", ranks(gaps));
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
                               r.last.at("name").get<std::string>(), r.last.at("step").get<int64_t>(),
                               r.last.at("doing").get<std::string>(),
                               r.inside()
                                   ? fmt::format("inside for {:.1f} s", -r.last.at("entered").get<double>())
                                   : fmt::format("left {:.1f} s ago", -r.last.at("left").get<double>()));
  std::cout << verdict(records) << missing(records) << std::endl;
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
