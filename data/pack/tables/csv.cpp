// Tables of numbers in text (CSV): one row a sample, a column of classes or none. Read forwards; what is kept
// in memory is a row and the classes.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>

#include "data/pack/arrays/arrays.h"
#include "data/pack/classes.h"
#include "data/pack/files/room.h"
#include "data/pack/importers.h"
#include "data/pack/tables/csv_rows.h"
#include "dist/error.h"
#include "dist/log.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

// --- What the columns are ---

// What the cells of a column are, over all rows.
struct Content {
  int64_t numbers = 0, texts = 0, missing = 0;
  bool integers = true, formatted = true;     // all numbers are; all texts are numbers in other clothes
  int64_t first_text = 0, first_missing = 0;  // lines
  std::string text = {}, fraction = {};       // the first of each
};

struct Table {
  std::string path;
  CsvFormat format;
  bool header = false;
  Row names = {};  // of the columns, if there is a header
  size_t columns = 0;
  int64_t rows = 0;
  std::vector<Content> contents = {};
  std::optional<size_t> label = {};  // the column of classes
  bool named = false;                // which its name says
  std::optional<size_t> index = {};  // the column that numbers the rows, which is left out
  std::vector<std::string> notes = {};

  size_t features() const { return columns - (label ? 1 : 0) - (index ? 1 : 0); }
  CsvRows open() const {
    CsvRows rows(path, format.separator);
    Row row;
    if (header) rows.next(row);
    return rows;
  }
  std::string place(int64_t line, size_t column) const { return place_of(line, column, names); }
};

std::string quote(const std::string& text) {
  return '"' + to_utf8(text.substr(0, 100)) + '"';
}

// A text must be UTF-8, which numbers are anyhow.
void add(Content& content, const std::string& path, const std::string& cell, int64_t line, char decimal) {
  if (const auto number = number_of(cell, decimal)) {
    ++content.numbers;
    if (!integer_of(cell, decimal) && content.fraction.empty()) content.fraction = cell;
    content.integers = content.fraction.empty();
  } else if (is_missing(cell)) {
    if (content.missing++ == 0) content.first_missing = line;
  } else {
    require_utf8(path, line, cell);
    if (content.texts++ == 0) content.first_text = line, content.text = cell;
    content.formatted &= is_formatted_number(cell, decimal);
  }
}

// Rows of another length are damaged samples.
void look_through(Table& table) {
  table.contents.resize(table.columns);
  CsvRows rows = table.open();
  for (Row row; rows.next(row); ++table.rows) {
    if (row.size() != table.columns) continue;
    for (size_t i = 0; i < row.size(); ++i)
      add(table.contents[i], table.path, row[i], rows.line(), table.format.decimal);
  }
  require(table.rows > 0, Exit::data, "{}: expected rows of numbers, found none", table.path);
}

std::string lower(std::string text) {
  for (char& c : text) c = char(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// By name, but for fractions; else the last column of texts.
void find_label(Table& table) {
  for (const char* name : {"label", "class", "target"})
    for (size_t i = 0; i < table.names.size(); ++i) {
      const Content& content = table.contents[i];
      if (lower(table.names[i]) != name) continue;
      if (content.texts == 0 && !content.integers) {
        table.notes.push_back(
            fmt::format("column {} holds fractions such as {}, so it is a number of x and no "
                        "class",
                        table.names[i], content.fraction));
        continue;
      }
      table.label = i, table.named = true;
      return;
    }
  for (size_t i = table.columns; i-- > 0;)
    if (i != table.index && table.contents[i].texts > 0 && table.contents[i].numbers == 0 &&
        !table.contents[i].formatted) {
      table.label = i;
      return;
    }
}

void check_label(const Table& table) {
  const Content& content = table.contents[*table.label];
  require(table.features() > 0, Exit::data, "{}: expected columns of numbers, found only classes",
          table.path);
  require(content.missing == 0 || (content.texts > 0 && content.numbers == 0), Exit::data,
          "{}: {}: expected a class, found none; fill it in, or remove the row or the column", table.path,
          table.place(content.first_missing, *table.label));
}

// What makes a number of one in other clothes.
std::string mend_of(const std::string& text, char decimal) {
  if (text.find('%') != std::string::npos) return "write it without the sign of percent";
  const char other = decimal == '.' ? ',' : '.';
  const bool only = text.find(other) != std::string::npos && text.find_first_of("' _") == std::string::npos &&
                    text.find(decimal) == std::string::npos && text.find(other) == text.rfind(other);
  // "1 2", "1,5 2,5": cells that spaces part.
  if (text.find_first_not_of("0123456789.,+- ") == std::string::npos && text.find(' ') != std::string::npos)
    return "if spaces part its cells, pass --separator space; else write it without separators of thousands";
  return fmt::format("{}write it without separators of thousands",
                     only ? fmt::format("pass --decimal {}, or ", other == ',' ? "comma" : "point") : "");
}

void check_numbers(const Table& table, size_t column) {
  const Content& content = table.contents[column];
  if (content.texts == 0 || content.numbers > 0) return;  // a few wrong ones are damaged samples
  const std::string place = table.place(content.first_text, column);
  require(!content.formatted, Exit::data, "{}: {}: expected numbers, found {}; {}", table.path, place,
          quote(content.text), mend_of(content.text, table.format.decimal));
  fail(Exit::data, "{}: {}: expected numbers, found {} beside the classes in column {}; remove the column",
       table.path, place, quote(content.text), *table.label + 1);
}

// The first few cells of a row, "a, b, c and 5 more".
std::string few(const Row& row, const char* between, std::optional<size_t> but) {
  constexpr size_t kShown = 6;
  std::vector<std::string> shown;
  for (size_t i = 0; i < row.size() && shown.size() < kShown; ++i)
    if (i != but) shown.push_back(row[i].empty() ? "(nothing)" : to_utf8(row[i].substr(0, 40)));
  const size_t more = row.size() - shown.size() - (but ? 1 : 0);
  return fmt::format("{}{}", fmt::join(shown, between), more > 0 ? fmt::format(" and {} more", more) : "");
}

// What the first row is taken for, which a reader can tell better.
void note_header(Table& table, const Row& first) {
  if (!table.header)
    return table.notes.push_back(
        fmt::format("no header: the first row, {}, is a sample", few(first, " | ", {})));
  table.notes.push_back(fmt::format("header: {}{}", few(first, ", ", table.index),
                                    table.label ? "; classes: " + first[*table.label] : ""));
}

// A column without a name before others that have one is what pandas and R number or name the rows by.
void find_index(Table& table) {
  const Row& names = table.names;
  const auto unnamed = std::count(names.begin(), names.end(), "");
  if (names.size() < 2 || !((unnamed == 1 && names[0].empty()) || names[0] == "Unnamed: 0")) return;
  table.index = 0;
  table.notes.push_back(
      left_out_note("column 1", "it has no name, as the index that pandas and R write; name it to keep it"));
}

// What is no table of numbers, though it might be taken for one.
void check_start(const Table& table, const Row& first, const Row& second, bool more) {
  const auto number = [&](const std::string& cell) {
    return number_of(cell, table.format.decimal) || is_formatted_number(cell, table.format.decimal);
  };
  require(!first[0].starts_with('#') || (more && first.size() == second.size()), Exit::data,
          "{}: the first row begins with #, as comments do, which tables have not; remove it", table.path);
  require(more || std::any_of(first.begin(), first.end(), number), Exit::data,
          "{}: expected rows of numbers, found only a header: {}", table.path, few(first, ", ", {}));
}

Table look_at(const PackRequest& request) {
  Table table{.path = request.source, .format = csv_format(request.source, request)};
  CsvRows rows(table.path, table.format.separator);
  Row first, second;
  require(rows.next(first), Exit::data, "{}: expected rows of numbers, found none", table.path);
  const int64_t line = rows.line();
  const bool more = rows.next(second);
  for (const std::string& cell : first) require_utf8(table.path, line, cell);
  check_start(table, first, second, more);
  table.header = more && is_header(first, second, table.format.decimal);
  if (table.header) table.names = first, require_distinct(table.path, first, second), find_index(table);
  table.columns = first.size();
  look_through(table);
  find_label(table);
  note_header(table, first);
  if (table.label) check_label(table);
  for (size_t i = 0; i < table.columns; ++i)
    if (i != table.label && i != table.index) check_numbers(table, i);
  return table;
}

// --- Classes ---

constexpr int64_t kMostClasses = 1 << 16;

struct Classes {
  std::vector<int32_t> of;  // by row
  std::vector<std::string> names, notes;
  int64_t count = 0;
};

// Numbers from 0 on are their own classes; others, and texts, are numbered as --classes says, or in order.
void number_classes(Classes& classes, const std::map<std::string, int32_t>& seen,
                    const PackRequest& request) {
  const auto value = [](const auto& each) { return integer_of(each.first, '.'); };
  std::vector<std::pair<std::string, int32_t>> sorted(seen.begin(), seen.end());
  const bool numbers =
      std::all_of(sorted.begin(), sorted.end(), [&](const auto& each) { return value(each).has_value(); });
  if (numbers)
    std::sort(sorted.begin(), sorted.end(),
              [&](const auto& a, const auto& b) { return *value(a) < *value(b); });
  const bool own = numbers && *value(sorted.front()) >= 0 && *value(sorted.back()) < kMostClasses;
  std::vector<std::string> texts;
  for (const auto& [text, code] : sorted) texts.push_back(to_utf8(text));
  if (!own) classes.names = request.classes.empty() ? texts : class_names(request, texts, classes.notes);
  std::map<std::string, int64_t> number;
  for (size_t k = 0; k < classes.names.size(); ++k) number.emplace(classes.names[k], int64_t(k));
  std::vector<int32_t> becomes(sorted.size());
  for (size_t i = 0; i < sorted.size(); ++i)
    becomes[size_t(sorted[i].second)] = int32_t(own ? *value(sorted[i]) : number.at(texts[i]));
  for (int32_t& each : classes.of) each = becomes[size_t(each)];
  classes.count = own ? *value(sorted.back()) + 1 : int64_t(classes.names.size());
}

// The same for all spellings of an integer.
std::string spelling(const std::string& text, char decimal) {
  const auto integer = integer_of(text, decimal);
  return integer ? std::to_string(*integer) : text;
}

// As many classes as rows are names or measurements, unless the table itself calls these texts classes.
void check_classes(const Table& table, const std::map<std::string, int32_t>& seen) {
  const Content& content = table.contents[*table.label];
  if (table.rows < 2 || int64_t(seen.size()) < table.rows) return;
  const std::string column = table.place(0, *table.label).substr(std::string_view("line 0, ").size());
  const std::string example =
      fmt::format("{} and {}", quote(seen.begin()->first), quote(seen.rbegin()->first));
  require(table.named || content.numbers > 0, Exit::data,
          "{}: {} holds as many texts as rows, such as {}: names or ids are no classes; remove the column, "
          "call it label, or list them for --classes",
          table.path, column, example);
  require(content.texts > 0, Exit::data,
          "{}: {} holds as many numbers as rows, such as {}, so no classes; remove the column, or call it "
          "otherwise to keep its numbers",
          table.path, column, example);
  log::warn("{}: {} holds as many classes as rows", table.path, column);
}

Classes read_classes(const Table& table, const PackRequest& request) {
  Classes out;
  CsvRows rows = table.open();
  std::map<std::string, int32_t> seen;
  for (Row row; rows.next(row);) {
    require(*table.label < row.size() && !row[*table.label].empty(), Exit::data,
            "{}: {}: expected a class, found none", table.path, table.place(rows.line(), *table.label));
    const std::string text = spelling(row[*table.label], table.format.decimal);
    out.of.push_back(seen.emplace(text, int32_t(seen.size())).first->second);
    require_room(table.path, "the classes of its rows", double(out.of.size() * sizeof(int32_t)),
                 request.most_bytes());
    require(int64_t(seen.size()) <= kMostClasses, Exit::data,
            "{}: column {} holds more than {} classes; remove it if it holds names", table.path,
            *table.label + 1, kMostClasses);
  }
  if (request.classes.empty()) check_classes(table, seen);
  number_classes(out, seen, request);
  return out;
}

// --- Samples ---

class Csv {
 public:
  explicit Csv(const PackRequest& request) : table_(look_at(request)) {
    if (table_.label) classes_ = read_classes(table_, request);
    features_ = int64_t(table_.features());
    notes_ = table_.notes;
    notes_.insert(notes_.end(), classes_.notes.begin(), classes_.notes.end());
  }

  int64_t count() const { return table_.rows; }
  int64_t features() const { return features_; }
  bool labelled() const { return table_.label.has_value(); }
  const Classes& classes() const { return classes_; }
  const std::vector<std::string>& notes() const { return notes_; }

  torch::Tensor features(int64_t i) {
    seek(i);
    const int64_t line = rows_->line();
    require(row_.size() == table_.columns, Exit::data, "{}: line {}: expected {} cells, found {}{}",
            table_.path, line, table_.columns, row_.size(),
            table_.format.separator == ',' && row_.size() == 2 * table_.columns
                ? "; if its commas are decimal marks, pass --decimal comma"
                : "");
    torch::Tensor out = torch::empty({1, features_}, torch::kFloat);
    float* to = out.data_ptr<float>();
    for (size_t column = 0; column < row_.size(); ++column)
      if (column != table_.label && column != table_.index) *to++ = value(column, line);
    return out;
  }

 private:
  // Makes row_ the one of sample i; going back begins anew.
  void seek(int64_t i) {
    if (!rows_ || i < at_) rows_ = std::make_unique<CsvRows>(table_.open()), at_ = -1;
    for (; at_ < i; ++at_)
      require(rows_->next(row_), Exit::data, "{}: has changed while it is read", table_.path);
  }

  float value(size_t column, int64_t line) const {
    const std::string& text = row_[column];
    const auto found = number_of(text, table_.format.decimal);
    const float out = found ? float(*found) : 0;
    require(found && std::isfinite(out), Exit::data, "{}: {}: expected a number, found {}{}", table_.path,
            table_.place(line, column), quote(text),
            is_missing(text) ? ", which stands for a missing one" : "");
    return out;
  }

  Table table_;
  Classes classes_;
  std::vector<std::string> notes_;
  int64_t features_ = 0;
  std::unique_ptr<CsvRows> rows_;
  Row row_;
  int64_t at_ = -1;
};

Source open_csv(const PackRequest& request) {
  const auto csv = std::make_shared<Csv>(request);
  Source source{.count = csv->count(), .serial = true};
  source.schema.fields.push_back(
      {.name = "x", .shape = {csv->features()}, .dtype = torch::kFloat, .class_names = {}});
  if (csv->labelled()) {
    source.schema.fields.push_back(label_field(csv->classes().count, csv->classes().names));
    source.label = [csv](int64_t i) { return int64_t{csv->classes().of[size_t(i)]}; };
  }
  source.notes = csv->notes();
  source.sample = [csv, label = source.label](int64_t i) {
    Batch out{{"x", csv->features(i)}};
    if (label) out.set("label", torch::tensor({label(i)}));
    return out;
  };
  source.provenance = provenance_of(request.source, {request.source});
  return source;
}

Why accepts(const PackRequest& request) {
  const std::string& name = request.source;
  for (const char* tail : {".csv", ".tsv", ".csv.gz", ".tsv.gz"})
    if (name.ends_with(tail) && fs::is_regular_file(name)) return std::string("its name ends in ") + tail;
  return {};
}

}  // namespace

const Importer kCsv{.name = "csv",
                    .takes =
                        "a table .csv or .tsv, also .gz, of numbers; a column label, class or target, or the "
                        "last one of texts, is the classes",
                    .flags = "separator decimal classes",
                    .accepts = accepts,
                    .open = open_csv};

}  // namespace saddle
