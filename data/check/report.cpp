#include "data/check/report.h"

#include <algorithm>

#include "data/check/account.h"
#include "data/view/kind.h"
#include "data/view/picture.h"
#include "data/view/sheet.h"
#include "dist/error.h"

namespace saddle {
namespace {

constexpr const char* kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>saddle check</title><style>
body { font: 15px/1.45 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733 }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse } th { text-align: left; font-weight: 600 }
th, td { padding: .15rem .9rem .15rem 0; vertical-align: top; overflow-wrap: anywhere }
.figures td:nth-child(n+4), .figures th:nth-child(n+4), .classes td:nth-child(odd) { text-align: right }
.figures td { border-top: 1px solid #e3e8ee }
.bar { background: #1f62b4; height: .8rem; min-width: 1px } .classes td:nth-child(4) { width: 24rem }
.sound { color: #14743a } .wrong { color: #b3261e }
.text { font-family: ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; padding: .1rem 0;
        border-top: 1px solid #e3e8ee }
img { display: block; max-width: 100%; image-rendering: pixelated } figure { margin: .4rem 0 }
figcaption { color: #566573; font-size: .85rem }
</style></head><body>
)";

std::string shape_text(const Field& field) {
  return fmt::format("[{}{}]", field.variable ? "up to " : "", fmt::join(field.shape, ", "));
}

std::string escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string base64(const std::string& bytes) {
  constexpr const char* kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t word = 0;
    for (size_t k = 0; k < 3; ++k) word = word << 8 | (i + k < bytes.size() ? uint8_t(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) out += i + k <= bytes.size() ? kDigits[word >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string figure(const Strip& strip) {
  return fmt::format(
      "<figure><figcaption>{}</figcaption><img alt=\"{}\" src=\"data:image/png;base64,{}\"></figure>\n",
      escape(strip.caption), escape(strip.caption), base64(encode_png(strip.picture)));
}

std::string row(const std::string& name, const std::string& value) {
  return fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", name, escape(value));
}

std::string list(const std::vector<std::string>& lines, const char* kind) {
  std::string out;
  for (const auto& line : lines) out += fmt::format("<li class=\"{}\">{}</li>\n", kind, escape(line));
  return out.empty() ? "" : "<ul>\n" + out + "</ul>\n";
}

std::string facts(const Audit& audit) {
  const Index& index = audit.index;
  std::string account;
  for (const auto& [what, value] : account_rows(index)) account += row(what, value);
  return "<table>\n" + row("source", source_of(index)) + account +
         row("samples", std::to_string(index.count)) +
         row("shards",
             fmt::format("{}, {:.1f} MiB together", index.shards.size(), double(audit.bytes) / (1 << 20))) +
         row("fingerprint", index.fingerprint) + "</table>\n";
}

std::string figures_table(const Audit& audit) {
  std::string out =
      "<h2>Fields</h2>\n<table class=\"figures\"><tr><th>field</th><th>dtype</th><th>shape</th><th>min</th>"
      "<th>max</th><th>mean</th><th>std</th><th>zeros</th><th>NaN</th><th>infinite</th><th>length</th></"
      "tr>\n";
  for (const FieldText& text : field_texts(audit)) {
    out += "<tr>";
    for (const std::string& part : text) out += fmt::format("<td>{}</td>", escape(part));
    out += "</tr>\n";
  }
  return out + "</table>\n";
}

std::string class_bars(const Field& field, const FieldFigures& figures) {
  constexpr size_t kMost = 1000;
  const auto rows = class_counts(field, figures, kMost);
  int64_t highest = 1;
  for (const ClassCount& row : rows) highest = std::max(highest, row.count);
  std::string out = fmt::format("<h2>Classes of {}</h2>\n<table class=\"classes\">\n", escape(field.name));
  for (const auto& [number, name, count] : rows)
    out += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td><div class=\"bar\" "
        "style=\"width:{:.2f}%\"></div></td></tr>\n",
        number, escape(name), count, 100 * double(count) / double(highest));
  return out + "</table>\n";
}

// A sheet of these fields, class by class.
std::string sheet(const Dataset& data, const std::vector<Choice>& choice,
                  const std::vector<std::string>& fields) {
  std::string out = fmt::format("<h2>{}</h2>\n", escape(fmt::format("{}", fmt::join(fields, " beside "))));
  for (const Strip& strip : picture_strips(data, choice, fields)) out += figure(strip);
  return out;
}

std::string samples_of(const Dataset& data, const Field& field, const std::vector<Choice>& choice,
                       uint64_t seed) {
  const Kind kind = kind_of(field);
  if (is_pictorial(kind)) return sheet(data, choice, {field.name});
  if (kind == Kind::label) return "";
  std::string out = fmt::format("<h2>{}</h2>\n", escape(field.name));
  if (kind == Kind::tokens) {
    for (const std::string& line : text_lines(data, choice, field.name))
      out += fmt::format("<p class=\"text\">{}</p>\n", escape(line));
    return out;
  }
  for (const Strip& strip : figure_strips(data, field.name, seed)) out += figure(strip);
  return out;
}

std::string all_samples(const Dataset& data, uint64_t seed) {
  constexpr int64_t kSamples = 96;
  const std::vector<Choice> choice = choose_samples(data, kSamples, seed);
  std::vector<std::string> pictorial;
  for (const Field& field : data.schema().fields)
    if (is_pictorial(kind_of(field))) pictorial.push_back(field.name);
  std::string out;
  if (pictorial.size() > 1) out += sheet(data, choice, pictorial);
  for (const Field& field : data.schema().fields) out += samples_of(data, field, choice, seed);
  return out;
}

std::string section(const Checked& checked, uint64_t seed) {
  const Audit& audit = checked.audit;
  const bool sound = audit.problems.empty();
  std::string out = fmt::format(
      "<h1>{} <span class=\"{}\">{}</span></h1>\n", escape(checked.folder), sound ? "sound" : "wrong",
      sound ? "is sound"
            : fmt::format("has {} problem{}", audit.problems.size(), audit.problems.size() == 1 ? "" : "s"));
  out += list(audit.problems, "wrong") + list(audit.notes, "note") + facts(audit) + figures_table(audit);
  for (size_t f = 0; f < audit.fields.size(); ++f)
    if (!audit.fields[f].per_class.empty()) out += class_bars(audit.index.schema.fields[f], audit.fields[f]);
  return checked.data ? out + all_samples(*checked.data, seed) : out;
}

nlohmann::json class_counts_json(const Field& field, const FieldFigures& figures) {
  nlohmann::json out = nlohmann::json::array();
  for (const auto& [label, times] : figures.per_class)
    out.push_back({{"class", label}, {"name", class_name(field, label)}, {"count", times}});
  return out;
}

nlohmann::json field_json(const Field& field, const FieldFigures& figures) {
  const Tally& v = figures.values;
  nlohmann::json out = to_json(Schema{{field}}).at("fields").at(0);
  out.erase("class_names");
  const auto number = [&](double value) { return v.count > 0 ? nlohmann::json(value) : nlohmann::json(); };
  out.update({{"values", v.values()},
              {"min", number(v.min)},
              {"max", number(v.max)},
              {"mean", number(v.mean)},
              {"std", number(v.deviation())},
              {"zeros", v.zeros},
              {"nan", v.nans},
              {"infinite", v.infinities}});
  if (is_pictorial(kind_of(field)))
    out["blank"] = {{"count", figures.constant}, {"first", figures.first_constant}};
  if (field.classes > 0) out["per_class"] = class_counts_json(field, figures);
  if (field.variable && figures.sequences > 0)
    out["length"] = {{"min", figures.shortest},
                     {"mean", double(figures.steps) / double(figures.sequences)},
                     {"max", figures.longest}};
  return out;
}

std::string share_text(int64_t part, int64_t all) {
  return all > 0 ? fmt::format("{:.1f} %", 100 * double(part) / double(all)) : "-";
}

std::string count_text(const Field& field, int64_t count) {  // integers have neither NaN nor infinity
  return torch::isFloatingType(field.dtype) ? fmt::format("{}", count) : "-";
}

FieldText field_text(const Field& field, const FieldFigures& figures) {
  const Tally& v = figures.values;
  const auto number = [&](double value) { return v.count > 0 ? fmt::format("{:.5g}", value) : "-"; };
  const std::string dtype = to_json(Schema{{field}}).at("fields").at(0).at("dtype");
  const std::string length = figures.sequences > 0
                                 ? fmt::format("{} to {}, mean {:.1f}", figures.shortest, figures.longest,
                                               double(figures.steps) / double(figures.sequences))
                                 : "";
  return {field.name,
          dtype,
          shape_text(field),
          number(v.min),
          number(v.max),
          number(v.mean),
          number(v.deviation()),
          share_text(v.zeros, v.values()),
          count_text(field, v.nans),
          count_text(field, v.infinities),
          length};
}

nlohmann::json pack_report(const Index& index) {
  return index.provenance.is_object() ? index.provenance.value("report", nlohmann::json()) : nlohmann::json();
}

}  // namespace

std::string source_of(const Index& index) {
  const auto& about = index.provenance;
  const bool named = about.is_object() && about.contains("source") && about["source"].is_string();
  return named ? about["source"].get<std::string>() : "unknown";
}

std::vector<FieldText> field_texts(const Audit& audit) {
  std::vector<FieldText> out;
  for (size_t f = 0; f < audit.fields.size(); ++f)
    out.push_back(field_text(audit.index.schema.fields[f], audit.fields[f]));
  return out;
}

std::vector<ClassCount> class_counts(const Field& field, const FieldFigures& figures, size_t most) {
  const auto row = [&](int64_t label, int64_t count) {
    return ClassCount{std::to_string(label), field.class_names.empty() ? "" : class_name(field, label),
                      count};
  };
  std::vector<ClassCount> out;
  if (size_t(field.classes) <= most) {  // all, also those that never occur
    for (int64_t label = 0; label < field.classes; ++label) {
      const auto at = figures.per_class.find(label);
      out.push_back(row(label, at == figures.per_class.end() ? 0 : at->second));
    }
    return out;
  }
  std::vector<std::pair<int64_t, int64_t>> by_count(figures.per_class.begin(), figures.per_class.end());
  std::stable_sort(by_count.begin(), by_count.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  int64_t others = 0;
  for (size_t i = 0; i < by_count.size(); ++i)
    if (i + 1 < most)
      out.push_back(row(by_count[i].first, by_count[i].second));
    else
      others += by_count[i].second;
  out.push_back({"", fmt::format("{} others", field.classes - int64_t(out.size())), others});
  return out;
}

nlohmann::json to_json(const Checked& checked) {
  const Audit& audit = checked.audit;
  nlohmann::json fields = nlohmann::json::array();
  for (size_t f = 0; f < audit.fields.size(); ++f)
    fields.push_back(field_json(audit.index.schema.fields[f], audit.fields[f]));
  return {{"folder", checked.folder},
          {"source", source_of(audit.index)},
          {"pack", pack_report(audit.index)},
          {"samples", audit.index.count},
          {"shards", audit.index.shards.size()},
          {"bytes", audit.bytes},
          {"fingerprint", audit.index.fingerprint},
          {"fields", fields},
          {"copies",
           {{"field", audit.copies.field}, {"count", audit.copies.count}, {"first", audit.copies.first}}},
          {"notes", audit.notes},
          {"problems", audit.problems},
          {"sound", audit.problems.empty()},
          {"seconds", audit.seconds}};
}

std::string html_page(const std::vector<Checked>& all, uint64_t seed) {
  std::string out = kHead;
  for (const Checked& each : all) out += section(each, seed);
  return out + "</body></html>\n";
}

}  // namespace saddle
