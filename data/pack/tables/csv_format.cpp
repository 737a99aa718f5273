// Which character separates the cells of a table, and which one the decimals: told, or found out by reading
// its first rows in every way there is.
#include <algorithm>
#include <optional>

#include "data/pack/arrays/arrays.h"
#include "data/pack/tables/csv_rows.h"
#include "dist/error.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

// The first rows, and the columns of numbers in them.
struct Reading {
  CsvFormat format;
  std::vector<Row> rows = {};
  std::vector<int64_t> lines = {};
  bool regular = false;  // rows of two cells or more, all as many
  bool failed = false;   // one could not be read
  std::vector<bool> numbers = {};

  bool has_numbers() const { return std::find(numbers.begin(), numbers.end(), true) != numbers.end(); }
};

void read_rows(Reading& out, const std::string& path) try {
  constexpr size_t kRows = 1000, kBytes = 1 << 20;
  CsvRows rows(path, out.format.separator);
  size_t bytes = 0;
  for (Row row; out.rows.size() < kRows && bytes < kBytes && rows.next(row);) {
    for (const std::string& cell : row) bytes += cell.size() + 1;
    out.rows.push_back(row), out.lines.push_back(rows.line());
  }
  const auto as_first = [&](const Row& row) { return row.size() == out.rows[0].size(); };
  out.regular = !out.rows.empty() && out.rows[0].size() > 1 && !rows.has_stray_quote() &&
                std::all_of(out.rows.begin(), out.rows.end(), as_first);
} catch (const Error&) {  // said again by who reads it so in earnest
  out.failed = true;
}

// The first row may be a header.
std::vector<bool> number_columns(const Reading& reading, char decimal) {
  std::vector<bool> out;
  const auto& rows = reading.rows;
  for (size_t column = 0; column < rows[0].size(); ++column) {
    int64_t numbers = 0, others = 0;
    for (size_t r = rows.size() > 1; r < rows.size(); ++r) {
      const bool number = number_of(rows[r][column], decimal).has_value();
      numbers += number, others += !number && !is_missing(rows[r][column]);
    }
    out.push_back(numbers > 0 && others == 0);
  }
  return out;
}

std::string separator_name(char separator) {
  switch (separator) {
    case ',':
      return "comma";
    case ';':
      return "semicolon";
    case '\t':
      return "tab";
    default:
      return fmt::format("'{}'", separator);
  }
}

std::string flags_of(const CsvFormat& format) {
  return fmt::format("--separator {} --decimal {}", separator_name(format.separator),
                     format.decimal == ',' ? "comma" : "point");
}

std::string cells_of(const Reading& reading, size_t row) {
  std::string out;
  for (const std::string& cell : reading.rows[row]) out += (out.empty() ? "" : " | ") + cell;
  return to_utf8(out.substr(0, 120));
}

[[noreturn]] void fail_ambiguous(const std::string& path, const Reading& a, const Reading& b) {
  const size_t row = std::min<size_t>(1, std::min(a.rows.size(), b.rows.size()) - 1);
  fail(Exit::usage, "{}: line {} can be read in two ways: pass {} if its cells are {}, or {} if they are {}",
       path, a.lines[row], flags_of(a.format), cells_of(a, row), flags_of(b.format), cells_of(b, row));
}

// 1,234 or 12,345,678, with whatever mark.
bool may_be_thousands(const std::string& text, char mark) {
  const size_t from = !text.empty() && (text[0] == '-' || text[0] == '+');
  size_t digits = 0, groups = 0;
  for (size_t i = from; i < text.size(); ++i) {
    const bool marked = text[i] == mark;
    if (!marked && !(text[i] >= '0' && text[i] <= '9')) return false;
    if (marked && (digits == 0 || digits > 3 || (groups > 0 && digits != 3))) return false;
    groups += marked, digits = marked ? 0 : digits + 1;
  }
  return groups > 0 && digits == 3 && text[from] != '0';
}

// Where every number with a mark may be a whole one, the mark may be of thousands.
void refuse_thousands(const std::string& path, const Reading& reading, const std::vector<bool>& columns) {
  const char mark = reading.format.decimal;
  std::string example;
  int64_t line = 0;
  for (size_t r = 0; r < reading.rows.size(); ++r)
    for (size_t column = 0; column < columns.size(); ++column) {
      const std::string& cell = reading.rows[r][column];
      if (!columns[column] || cell.find(mark) == std::string::npos) continue;
      if (!number_of(cell, mark)) continue;  // of the header
      if (!may_be_thousands(cell, mark)) return;
      if (example.empty()) example = cell, line = reading.lines[r];
    }
  if (example.empty()) return;
  std::string decimal = example, whole = example;
  std::replace(decimal.begin(), decimal.end(), mark, '.');
  std::erase(whole, mark);
  fail(Exit::usage,
       "{}: line {}: {} can be {} or {}: pass --decimal {} for the first, or remove the separators of "
       "thousands for the second",
       path, line, example, decimal, whole, mark == ',' ? "comma" : "point");
}

// The decimal mark with which more columns hold numbers.
void choose_decimal(Reading& reading, const std::string& path, const std::string& asked) {
  if (!reading.regular) return;
  const auto with_point = number_columns(reading, '.'), with_comma = number_columns(reading, ',');
  bool point_wins = false, comma_wins = false;
  for (size_t i = 0; i < with_point.size(); ++i) {
    point_wins |= with_point[i] && !with_comma[i];
    comma_wins |= with_comma[i] && !with_point[i];
  }
  const bool by_commas = reading.format.separator == ',';  // then a decimal comma is told, and quoted
  if (asked.empty() && !by_commas && comma_wins) {
    Reading other = reading;
    reading.format.decimal = ',';
    if (point_wins) fail_ambiguous(path, other, reading);
    std::vector<bool> columns = with_comma;
    for (size_t i = 0; i < columns.size(); ++i) columns[i] = with_comma[i] && !with_point[i];
    refuse_thousands(path, reading, columns);
  }
  // Semicolons stand where commas are decimal marks, and points then of thousands.
  if (asked.empty() && reading.format.separator == ';' && reading.format.decimal == '.')
    refuse_thousands(path, reading, with_point);
  reading.numbers = reading.format.decimal == ',' ? with_comma : with_point;
}

std::vector<char> separators_of(const std::string& path, const PackRequest& request) {
  const std::string& asked = request.separator;
  if (asked == "comma") return {','};
  if (asked == "semicolon") return {';'};
  if (asked == "tab" || asked == "\\t") return {'\t'};
  if (asked == "space") return {' '};
  require(asked.size() <= 1 && asked != "\"" && asked != "\n" && asked != "\r", Exit::usage,
          "--separator: expected comma, semicolon, tab, space or one character, found {}", asked);
  if (!asked.empty()) return {asked[0]};
  if (request.decimal == "comma") return {';', '\t', '|'};
  if (path.ends_with(".tsv") || path.ends_with(".tsv.gz")) return {'\t', ',', ';', '|'};
  return {',', ';', '\t', '|'};
}

// The one that splits the first row into most cells, or else cannot be read: who reads on says what is wrong.
CsvFormat most_cells(const std::vector<Reading>& readings) {
  const auto cells = [](const Reading& reading) { return reading.rows.empty() ? 0 : reading.rows[0].size(); };
  const auto most = std::max_element(readings.begin(), readings.end(),
                                     [&](const Reading& a, const Reading& b) { return cells(a) < cells(b); });
  const auto failed =
      std::find_if(readings.begin(), readings.end(), [](const Reading& r) { return r.failed; });
  return cells(*most) < 2 && failed != readings.end() ? failed->format : most->format;
}

}  // namespace

CsvFormat csv_format(const std::string& path, const PackRequest& request) {
  require(request.decimal.empty() || request.decimal == "point" || request.decimal == "comma", Exit::usage,
          "--decimal: expected point or comma, found {}", request.decimal);
  const std::optional<char> told = CsvRows(path, ',').told();
  const std::vector<char> separators =
      told && request.separator.empty() ? std::vector{*told} : separators_of(path, request);
  const char decimal = request.decimal == "comma" ? ',' : '.';
  std::vector<Reading> readings, fit;
  for (const char separator : separators) {
    readings.push_back({.format = {.separator = separator, .decimal = decimal}});
    read_rows(readings.back(), path);
  }
  for (const Reading& reading : readings)
    if (reading.regular) fit.push_back(reading);
  // A name that says tabs is believed where there are some.
  if (fit.size() > 1 && separators[0] == '\t' && fit[0].format.separator == '\t') fit.resize(1);
  for (Reading& reading : fit) choose_decimal(reading, path, request.decimal);
  const auto without = [](const Reading& reading) { return !reading.has_numbers(); };
  if (fit.size() > 1 && !std::all_of(fit.begin(), fit.end(), without)) std::erase_if(fit, without);
  if (fit.size() > 1) fail_ambiguous(path, fit[0], fit[1]);
  return fit.empty() ? most_cells(readings) : fit[0].format;
}

}  // namespace saddle
