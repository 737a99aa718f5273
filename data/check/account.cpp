#include "data/check/account.h"

#include <algorithm>
#include <map>

#include "dist/error.h"
#include "dist/json.h"

namespace saddle {
namespace {

using nlohmann::json;

std::string counted(int64_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

// A row a reason: "4 files, format not read: 3 .txt, 1 without ending".
void add_left_out(const json& list, std::vector<AccountRow>& rows) {
  struct Reason {
    int64_t files = 0;
    std::vector<std::string> endings = {};
  };
  std::map<std::string, Reason> reasons;
  for (const json& each : list) {
    const int64_t count = integer_at(each, "files");
    const std::string& ending = text_at(each, "ending");
    Reason& reason = reasons[text_at(each, "reason")];
    reason.files += count;
    reason.endings.push_back(fmt::format("{} {}", count, ending.empty() ? "without ending" : ending));
  }
  constexpr size_t kMost = 12;
  for (auto& [name, reason] : reasons) {
    const size_t shown = std::min(kMost, reason.endings.size()), more = reason.endings.size() - shown;
    reason.endings.resize(shown);
    rows.emplace_back("left out", fmt::format("{}, {}: {}{}", counted(reason.files, "file"), name,
                                              fmt::join(reason.endings, ", "),
                                              more ? fmt::format(" and {} other endings", more) : ""));
  }
}

AccountRow note_row(const std::string& note) {
  if (note.starts_with(kLeftOutNote)) return {"left out", note.substr(kLeftOutNote.size())};
  return {"note", note};
}

std::string classes_of(const Field& field) {
  constexpr size_t kMost = 10;
  const std::vector<std::string>& names = field.class_names;
  if (names.empty())
    return fmt::format("{} of {}, numbered 0 to {}, without names", field.classes, field.name,
                       field.classes - 1);
  std::string out = fmt::format("{} of {}: ", field.classes, field.name);
  const size_t shown = std::min(kMost, names.size());
  for (size_t i = 0; i < shown; ++i) out += fmt::format("{}{} {}", i ? ", " : "", i, names[i]);
  if (shown < names.size()) out += fmt::format(" ... {} {}", field.classes - 1, names.back());
  return out;
}

}  // namespace

std::vector<AccountRow> account_rows(const Index& index) try {
  std::vector<AccountRow> rows;
  if (!index.provenance.is_object() || !index.provenance.contains("report")) return rows;
  const json& report = index.provenance["report"];
  rows.emplace_back("read as", fmt::format("{}: {}", text_at(report, "importer"), text_at(report, "why")));
  add_left_out(list_at(report, "left_out"), rows);
  if (report.contains("skipped"))
    rows.emplace_back("left out",
                      counted(integer_at(report, "skipped"), "damaged sample") + ", as --skip-bad asks");
  for (const json& note : list_at(report, "notes")) rows.push_back(note_row(text(note)));
  return rows;
} catch (const Error& error) {
  return {{"note", fmt::format("what the pack said of itself is malformed: {}", error.what())}};
}

std::vector<AccountRow> class_rows(const Schema& schema) {
  std::vector<AccountRow> rows;
  for (const Field& field : schema.fields)
    if (field.classes > 0 && field.shape.empty()) rows.emplace_back("classes", classes_of(field));
  return rows;
}

}  // namespace saddle
