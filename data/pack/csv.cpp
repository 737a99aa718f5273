// Tables of numbers in text (CSV): one row a sample, a column of classes or none. Read forwards; what is kept
// in memory is a row and the classes.
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>

#include "data/pack/arrays.h"
#include "data/pack/importers.h"
#include "dist/error.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

using Row = std::vector<std::string>;

// The rows of a file, compressed by gzip or not. A quoted cell may hold separators, line ends and doubled
// quotes.
class Rows {
 public:
  explicit Rows(const std::string& path) : path_(path), file_(gzopen(path.c_str(), "rb")) {
    require(file_ != nullptr, Exit::data, "{}: cannot open", path);
    gzbuffer(file_.get(), 1 << 18);
    for (const int mark : {0xef, 0xbb, 0xbf})  // UTF-8's byte order mark
      if (peek() == mark) take();
  }

  // The next that is not blank; false at the end.
  bool next(Row& row, char separator) {
    while (peek() == '\n' || peek() == '\r') take();
    if (peek() == kEnd) return false;
    start_ = line_, bytes_ = 0;
    size_t cells = 0;
    for (bool more = true; more; ++cells) {
      require(cells < kMostCells, Exit::data, "{}: line {}: more than {} cells", path_, start_, kMostCells);
      if (cells == row.size()) row.emplace_back();
      row[cells].clear();
      more = cell(row[cells], separator);
    }
    row.resize(cells);
    return true;
  }

  int64_t line() const { return start_; }  // where the row begins, from 1

 private:
  static constexpr int kEnd = -1;
  static constexpr int64_t kMostBytes = 64 << 20;  // of a row
  static constexpr size_t kMostCells = 1 << 20;

  struct Close {
    void operator()(gzFile_s* file) const { gzclose(file); }
  };

  // False if the row ends with it.
  bool cell(std::string& out, char separator) {
    while (peek() == ' ') take();
    if (peek() == '"') quoted(out);
    for (;;) {
      const int c = take();
      if (c == separator) break;
      if (c == '\r' && peek() == '\n') continue;
      if (c == kEnd || c == '\n' || c == '\r') {
        trim(out);
        return false;
      }
      out += char(c);
    }
    trim(out);
    return true;
  }

  void quoted(std::string& out) {
    take();
    for (;;) {
      const int c = take();
      require(c != kEnd, Exit::data, "{}: line {}: a quoted cell does not end", path_, start_);
      if (c == '"' && peek() != '"') return;
      if (c == '"') take();
      out += char(c);
    }
  }

  static void trim(std::string& text) {
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.pop_back();
  }

  int peek() {
    if (ahead_ == kUnknown) {
      ahead_ = gzgetc(file_.get());
      if (ahead_ == kEnd) check_end();
    }
    return ahead_;
  }

  int take() {
    const int c = peek();
    if (c != kEnd) ahead_ = kUnknown;
    line_ += c == '\n';
    require(++bytes_ <= kMostBytes, Exit::data, "{}: line {}: a row of more than {} MiB", path_, start_,
            kMostBytes >> 20);
    return c;
  }

  void check_end() {
    int code = 0;
    const std::string reason = gzerror(file_.get(), &code);
    require(code == Z_OK || code == Z_STREAM_END, Exit::data, "{}: damaged or cut off: {}", path_, reason);
  }

  static constexpr int kUnknown = -2;
  std::string path_;
  std::unique_ptr<gzFile_s, Close> file_;
  int ahead_ = kUnknown;
  int64_t line_ = 1, start_ = 1, bytes_ = 0;
};

std::optional<double> number_of(const std::string& text) {
  const char *from = text.data() + (text.size() > 1 && text[0] == '+'), *end = text.data() + text.size();
  double value = 0;
  const auto [stop, error] = std::from_chars(from, end, value);
  if (error != std::errc() || stop != end) return {};
  return value;
}

bool is_number(const std::string& text) {
  return number_of(text).has_value();
}

// --- What the columns are ---

struct Table {
  std::string path;
  char separator = ',';
  bool header = false;
  Row names = {};  // of the columns, if there is a header
  size_t columns = 0;
  std::optional<size_t> label = {};  // the column of classes
};

// The one that splits the first row into most cells.
char separator_of(const std::string& path) {
  char best = ',';
  size_t most = 1;
  for (const char each : {',', ';', '\t'}) {
    Row row;
    Rows rows(path);
    if (rows.next(row, each) && row.size() > most) best = each, most = row.size();
  }
  return best;
}

// The first row is a header if a number is below a text.
bool is_header(const Row& first, const Row& second) {
  for (size_t i = 0; i < std::min(first.size(), second.size()); ++i)
    if (!is_number(first[i]) && is_number(second[i])) return true;
  return false;
}

std::string lower(std::string text) {
  for (char& c : text) c = char(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// By name; else the last column of texts.
std::optional<size_t> label_column(const Table& table, const Row& first) {
  for (const char* name : {"label", "class", "target"})
    for (size_t i = 0; i < table.names.size(); ++i)
      if (lower(table.names[i]) == name) return i;
  for (size_t i = first.size(); i-- > 0;)
    if (!first[i].empty() && !is_number(first[i])) return i;
  return {};
}

Table look_at(const std::string& path) {
  Table table{.path = path, .separator = separator_of(path)};
  Rows rows(path);
  Row first, second;
  require(rows.next(first, table.separator), Exit::data, "{}: expected rows of numbers, found none", path);
  const bool two = rows.next(second, table.separator);
  table.header = two && is_header(first, second);
  if (table.header) table.names = first;
  table.columns = first.size();
  table.label = label_column(table, table.header ? second : first);
  return table;
}

// --- Classes ---

constexpr int64_t kMostClasses = 1 << 16;

struct Classes {
  std::vector<int32_t> of;  // by row
  std::vector<std::string> names;
  int64_t count = 0;
};

std::optional<int64_t> integer_of(const std::string& text) {
  const auto value = number_of(text);
  constexpr double kMost = double(int64_t{1} << 53);
  if (!value || std::floor(*value) != *value || std::abs(*value) > kMost) return {};
  return int64_t(*value);
}

// Numbers from 0 on are their own classes; others, and texts, are numbered in order.
void number_classes(Classes& classes, const std::map<std::string, int32_t>& seen) {
  std::vector<std::pair<std::string, int32_t>> sorted(seen.begin(), seen.end());
  const auto integer = [](const auto& each) { return integer_of(each.first).has_value(); };
  const bool numbers = std::all_of(sorted.begin(), sorted.end(), integer);
  if (numbers)
    std::sort(sorted.begin(), sorted.end(),
              [](const auto& a, const auto& b) { return *integer_of(a.first) < *integer_of(b.first); });
  const bool own =
      numbers && *integer_of(sorted.front().first) >= 0 && *integer_of(sorted.back().first) < kMostClasses;
  std::vector<int32_t> becomes(sorted.size());
  for (size_t i = 0; i < sorted.size(); ++i) {
    becomes[size_t(sorted[i].second)] = int32_t(own ? *integer_of(sorted[i].first) : int64_t(i));
    if (!own) classes.names.push_back(to_utf8(sorted[i].first));
  }
  for (int32_t& each : classes.of) each = becomes[size_t(each)];
  classes.count = own ? *integer_of(sorted.back().first) + 1 : int64_t(sorted.size());
}

struct Content {
  int64_t count = 0;
  Classes classes;
};

// The same for all spellings of an integer.
std::string spelling(const std::string& text) {
  const auto integer = integer_of(text);
  return integer ? std::to_string(*integer) : text;
}

// Counts the rows and collects the classes, in one pass. A column of fractions holds no classes: it is then
// taken off the table.
Content scan(Table& table) {
  Content out;
  Rows rows(table.path);
  Row row;
  if (table.header) rows.next(row, table.separator);
  std::map<std::string, int32_t> seen;
  bool numbers = true, integers = true, many = false;
  for (; rows.next(row, table.separator); ++out.count) {
    if (!table.label) continue;
    require(*table.label < row.size() && !row[*table.label].empty(), Exit::data,
            "{}: line {}: expected a class in column {}, found none", table.path, rows.line(),
            *table.label + 1);
    const std::string text = spelling(row[*table.label]);
    numbers &= is_number(text), integers &= integer_of(text).has_value();
    many |= int64_t(seen.size()) > kMostClasses;
    out.classes.of.push_back(many ? 0 : seen.emplace(text, int32_t(seen.size())).first->second);
  }
  require(out.count > 0, Exit::data, "{}: expected rows of numbers, found none", table.path);
  if (numbers && !integers) table.label.reset();
  require(!table.label || !many, Exit::data,
          "{}: column {} holds more than {} classes; remove it if it holds names", table.path,
          *table.label + 1, kMostClasses);
  if (table.label) number_classes(out.classes, seen);
  return out;
}

// --- Samples ---

class Csv {
 public:
  explicit Csv(const std::string& path) : table_(look_at(path)), content_(scan(table_)) {
    features_ = int64_t(table_.columns) - (table_.label ? 1 : 0);
    require(features_ > 0, Exit::data, "{}: expected columns of numbers, found only classes", path);
  }

  int64_t count() const { return content_.count; }
  int64_t features() const { return features_; }
  bool labelled() const { return table_.label.has_value(); }
  const Classes& classes() const { return content_.classes; }

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
    if (!rows_ || i < at_) {
      rows_ = std::make_unique<Rows>(table_.path), at_ = -1;
      if (table_.header) rows_->next(row_, table_.separator);
    }
    for (; at_ < i; ++at_)
      require(rows_->next(row_, table_.separator), Exit::data, "{}: has changed while it is read",
              table_.path);
  }

  float value(size_t column, int64_t line) const {
    const std::string& text = row_[column];
    const auto found = number_of(text);
    const float out = found ? float(*found) : 0;
    require(found && std::isfinite(out), Exit::data,
            "{}: line {}, column {}: expected a number, found \"{}\"", table_.path, line,
            column < table_.names.size() ? to_utf8(table_.names[column]) : std::to_string(column + 1),
            to_utf8(text.substr(0, 100)));
    return out;
  }

  Table table_;
  Content content_;
  int64_t features_ = 0;
  std::unique_ptr<Rows> rows_;
  Row row_;
  int64_t at_ = -1;
};

Source open_csv(const PackRequest& request) {
  const auto csv = std::make_shared<Csv>(request.source);
  Source source{.count = csv->count(), .serial = true};
  source.schema.fields.push_back(
      {.name = "x", .shape = {csv->features()}, .dtype = torch::kFloat, .class_names = {}});
  if (csv->labelled()) {
    source.schema.fields.push_back(label_field(csv->classes().count, csv->classes().names));
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
                    .flags = "",
                    .accepts = accepts,
                    .open = open_csv};

}  // namespace saddle
