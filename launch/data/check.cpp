// saddle check: reads every byte of a data set and says what is wrong with it, and what is in it.
#include <array>
#include <filesystem>

#include "data/check/account.h"
#include "data/check/report.h"
#include "data/view/picture.h"
#include "data/view/sheet.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/utf8.h"
#include "launch/commands.h"
#include "launch/flags.h"
#include "launch/run/cores.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

struct CheckOptions {
  std::string folder, picture, report;
  bool json = false;
  uint64_t seed = 0;
};

constexpr std::array<const char*, 2> kParts{"train", "validation"};

void print_row(const char* name, const std::string& value) {
  fmt::print("{:<12} {}\n", name, printable(value));
}

// Columns as wide as their widest text; numbers to the right.
void print_fields(const Audit& audit) {
  constexpr size_t kTexts = 3;  // name, dtype, shape
  std::vector<FieldText> rows = field_texts(audit);
  rows.insert(rows.begin(),
              {"field", "dtype", "shape", "min", "max", "mean", "std", "zeros", "NaN", "infinite", "length"});
  std::array<size_t, std::tuple_size_v<FieldText>> widths{};
  for (FieldText& row : rows)
    for (size_t c = 0; c < row.size(); ++c)
      row[c] = printable(row[c]), widths[c] = std::max(widths[c], row[c].size());
  for (const FieldText& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c)
      line += c < kTexts ? fmt::format("{:<{}}  ", row[c], widths[c])
                         : fmt::format("{:>{}}  ", row[c], widths[c]);
    fmt::print("{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
  }
}

void print_classes(const Field& field, const FieldFigures& figures) {
  constexpr size_t kMost = 100;
  const bool label = field.shape.empty();
  fmt::print("{} of {} classes of {}\n", label ? "samples" : "values", field.classes, printable(field.name));
  for (const auto& [number, name, count] : class_counts(field, figures, kMost)) {
    const int64_t all = std::max<int64_t>(1, figures.values.values());
    fmt::print("  {:>5}  {:<24} {:>10} {:>6.2f} %\n", number, printable(name), count,
               100 * double(count) / double(all));
  }
}

void print_table(const Checked& checked) {
  const Audit& audit = checked.audit;
  for (const auto& problem : audit.problems) fmt::print("{}\n", printable(problem));
  print_row("folder", checked.folder);
  print_row("source", source_of(audit.index));
  for (const auto& [what, value] : account_rows(audit.index)) print_row(what.c_str(), value);
  print_row("samples", std::to_string(audit.index.count));
  print_row("shards", fmt::format("{}, {:.1f} MiB together", audit.index.shards.size(),
                                  double(audit.bytes) / (1 << 20)));
  print_row("fingerprint", audit.index.fingerprint);
  print_fields(audit);
  for (size_t f = 0; f < audit.fields.size(); ++f)
    if (!audit.fields[f].per_class.empty()) print_classes(audit.index.schema.fields[f], audit.fields[f]);
  for (const auto& note : audit.notes) print_row("note", note);
  print_row("read", fmt::format("in {:.2f} s, {:.0f} MB/s", audit.seconds,
                                double(audit.bytes) / 1e6 / audit.seconds));
  const size_t problems = audit.problems.size();
  print_row("verdict",
            problems == 0 ? "sound" : fmt::format("{} problem{}", problems, problems == 1 ? "" : "s"));
}

nlohmann::json json_of(const std::vector<Checked>& all) {
  if (all.size() == 1) return to_json(all[0]);
  nlohmann::json out;
  for (size_t i = 0; i < all.size(); ++i) out[kParts[i]] = to_json(all[i]);
  out["sound"] = all[0].audit.problems.empty() && all[1].audit.problems.empty();
  return out;
}

// FILE.png, or FILE-validation.png of the second part.
std::string picture_path(const std::string& path, size_t part) {
  if (part == 0) return path;
  const fs::path file(path);
  return (file.parent_path() / (file.stem().string() + "-" + kParts[part] + file.extension().string()))
      .string();
}

void write_files(const CheckOptions& options, const std::vector<Checked>& all) {
  constexpr int64_t kSamples = 96;
  const auto say = [&](const char* what, const std::string& path) {
    if (!options.json) print_row(what, path);
  };
  for (size_t part = 0; part < all.size() && !options.picture.empty(); ++part) {
    if (!all[part].data) {
      say("picture", "none of " + all[part].folder + ", which is damaged");
      continue;
    }
    const std::string path = picture_path(options.picture, part);
    write_png(path, contact_sheet(*all[part].data, kSamples, options.seed));
    say("picture", path);
  }
  if (options.report.empty()) return;
  write_file(options.report, html_page(all, options.seed));
  say("report", options.report);
}

void show(const CheckOptions& options, const std::vector<Checked>& all) {
  constexpr auto kReplace = nlohmann::json::error_handler_t::replace;  // paths need not be UTF-8
  if (options.json)
    fmt::print("{}\n", printable_json(json_of(all).dump(1, ' ', false, kReplace)));
  else
    for (const Checked& each : all) print_table(each);
  write_files(options, all);
}

bool has_parts(const std::string& folder) {
  const auto has = [&](const char* part) { return has_index((fs::path(folder) / part).string()); };
  return !has_index(folder) && has(kParts[0]) && has(kParts[1]);
}

std::vector<std::string> folders_of(const std::string& folder, const Comm& comm) {
  if (comm.broadcast_text(comm.rank() == 0 && has_parts(folder) ? "parts" : "whole") == "whole")
    return {folder};
  std::vector<std::string> out;
  for (const char* part : kParts) out.push_back((fs::path(folder) / part).string());
  return out;
}

void note_shared(std::vector<Checked>& all, const Comm& comm) {
  if (all.size() < 2 || !all[0].data || !all[1].data) return;
  const int64_t shared = shared_samples(all[0].folder, all[1].folder, comm);
  if (shared > 0)
    all[1].audit.notes.push_back(fmt::format("{} samples are also in {}", shared, all[0].folder));
}

int run(World& world, const CheckOptions& options) {
  const Comm comm = world.comm("cpu");
  const auto threads = int(compute_threads(comm).count);
  std::vector<Checked> all;
  bool sound = true;
  for (const std::string& folder : folders_of(options.folder, comm)) {
    all.push_back({.folder = folder, .audit = audit(folder, comm, threads, /*show=*/true), .data = nullptr});
    sound = sound && all.back().audit.problems.empty();
    comm.together([&] {
      if (all.back().audit.problems.empty()) all.back().data = open_shards(folder);
    });
  }
  note_shared(all, comm);
  comm.together([&] {
    if (comm.rank() == 0) show(options, all);
  });
  return sound ? 0 : int(Exit::data);
}

}  // namespace

void add_check(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* check = app.add_subcommand("check", "Verify every byte of a packed data set and describe it");
  check
      ->add_option("DIR", options->folder, "Folder made by `saddle pack`, or one with train/ and validation/")
      ->required();
  check
      ->add_option("--picture", options->picture,
                   "PNG file to write: a contact sheet, class by class where there are labels")
      ->check(written_as({".png"}));
  check
      ->add_option("--report", options->report,
                   "HTML file to write: the table, classes as bars, and what every field looks like")
      ->check(written_as({".html", ".htm"}));
  check->add_option("--seed", options->seed, "Chooses the samples that are shown")->capture_default_str();
  check->add_flag("--json", options->json, "Print one JSON object instead of the table");
  check->callback([=, &chosen] { chosen = [=](World& world) { return run(world, *options); }; });
}

}  // namespace saddle
