// Tables of numbers in text (CSV): one row a sample, a column of classes or none. Read forwards; what is kept
// in memory is a row and the classes.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>

#include "data/pack/arrays.h"
#include "data/pack/classes.h"
#include "data/pack/csv_rows.h"
#include "data/pack/importers.h"
#include "data/pack/room.h"
#include "dist/error.h"
#include "dist/log.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

// --- What the columns are ---

// What the cells of a column are, over all rows.
struct Content {
  int64_t numbers = 0, texts = 0, missing = 0;
  bool integers = true, formatted = true;     // all numbers are; all texts are numbers in other clothes
  int64_t first_text = 0, first_missing = 0;  // lines
  std::string text = {};                      // the first
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

void add(Content& content, const std::string& cell, int64_t line, char decimal) {
  if (const auto number = number_of(cell, decimal)) {
    ++content.numbers;
    content.integers &= integer_of(cell, decimal).has_value();
  } else if (is_missing(cell)) {
    if (content.missing++ == 0) content.first_missing = line;
  } else {
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
    for (size_t i = 0; i < row.size(); ++i) add(table.contents[i], row[i], rows.line(), table.format.decimal);
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
      if (lower(table.names[i]) != name || (content.texts == 0 && !content.integers)) continue;
      table.label = i, table.named = true;
      return;
    }
  for (size_t i = table.columns; i-- > 0;)
    if (table.contents[i].texts > 0 && table.contents[i].numbers == 0 && !table.contents[i].formatted) {
      table.label = i;
      return;
    }
}

void check_label(const Table& table) {
  const Content& content = table.contents[*table.label];
  require(table.columns > 1, Exit::data, "{}: expected columns of numbers, found only classes", table.path);
  require(content.missing == 0 || (content.texts > 0 && content.numbers == 0), Exit::data,
          "{}: {}: expected a class, found none; fill it in, or remove the row or the column", table.path,
          table.place(content.first_missing, *table.label));
}

void check_numbers(const Table& table, size_t column) {
  const Content& content = table.contents[column];
  if (content.texts == 0 || content.numbers > 0) return;  // a few wrong ones are damaged samples
  const std::string place = table.place(content.first_text, column);
  require(!content.formatted, Exit::data,
          "{}: {}: expected numbers, found {}; pass --decimal, or write them without separators of thousands "
          "or units",
          table.path, place, quote(content.text));
  fail(Exit::data, "{}: {}: expected numbers, found {} beside the classes in column {}; remove the column",
       table.path, place, quote(content.text), *table.label + 1);
}

Table look_at(const PackRequest& request) {
  Table table{.path = request.source, .format = csv_format(request.source, request)};
  CsvRows rows(table.path, table.format.separator);
  Row first, second;
  require(rows.next(first), Exit::data, "{}: expected rows of numbers, found none", table.path);
  table.header = rows.next(second) && is_header(first, second, table.format.decimal);
  if (table.header) table.names = first, require_distinct(table.path, first, second);
  table.columns = first.size();
  look_through(table);
  find_label(table);
  if (table.label) check_label(table);
  for (size_t i = 0; i < table.columns; ++i)
    if (i != table.label) check_numbers(table, i);
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
    features_ = int64_t(table_.columns) - (table_.label ? 1 : 0);
  }

  int64_t count() const { return table_.rows; }
  int64_t features() const { return features_; }
  bool labelled() const { return table_.label.has_value(); }
  const Classes& classes() const { return classes_; }

  torch::Tensor features(int64_t i) {
    seek(i);
    const int64_t line = rows_->line();
    require(row_.size() == table_.columns, Exit::data, "{}: line {}: expected {} cells, found {}",
            table_.path, line, table_.columns, row_.size());
    torch::Tensor out = torch::empty({1, features_}, torch::kFloat);
    float* to = out.data_ptr<float>();
    for (size_t column = 0; column < row_.size(); ++column)
      if (column != table_.label) *to++ = value(column, line);
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
    source.notes = csv->classes().notes;
    source.label = [csv](int64_t i) { return int64_t{csv->classes().of[size_t(i)]}; };
  }
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
