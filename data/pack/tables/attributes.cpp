// A table of attributes beside pictures: CSV with a header, whose first column is the file's name. A column
// of few distinct integers or texts becomes a field of classes, of other numbers a field of floats.
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "data/pack/arrays/arrays.h"
#include "data/pack/files/room.h"
#include "data/pack/pictures/picture_parts.h"
#include "data/pack/tables/csv_rows.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

constexpr size_t kMostClasses = 256;

// A column as far as it was read: codes of its distinct texts while they are few, numbers while it has but
// those.
struct Column {
  std::string header, name;  // as it is written, and of the field
  bool few = true, integers = true, has_fractions = false;
  int64_t numbers = 0, texts = 0, missing = 0, first_text = 0, first_missing = 0;  // the last two are lines
  std::unordered_map<std::string, int32_t> code = {};
  std::vector<int32_t> codes = {};
  std::vector<float> values = {};

  void add(const std::string& text, int64_t line, char decimal) {
    const auto number = number_of(text, decimal);
    const bool finite = number && std::isfinite(float(*number));
    integers = integers && finite && integer_of(text, decimal);
    has_fractions |= finite && !integer_of(text, decimal);
    numbers += finite;
    if (!finite && is_missing(text) && missing++ == 0) first_missing = line;
    if (!finite && !is_missing(text) && texts++ == 0) first_text = line;
    if (texts + missing == 0) values.push_back(float(*number));
    if (!few) return;
    codes.push_back(code.emplace(text, int32_t(code.size())).first->second);
    few = code.size() <= kMostClasses;
    if (!few) code = {}, codes = {};
  }

  int64_t rows() const { return numbers + texts + missing; }
  bool all_differ() const { return few && rows() > 1 && int64_t(code.size()) == rows(); }
  // Numbers that differ in every row are measurements.
  bool is_classes() const { return few && (texts > 0 || (integers && !all_differ())); }
};

std::string field_name(const std::string& header) {
  std::string out = header;
  for (char& c : out)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return out;
}

struct Table {
  std::vector<Column> columns = {};
  std::unordered_map<std::string, size_t> rows = {};  // by the first cell
  std::vector<int64_t> lines = {};                    // of the rows
};

// The row's attributes, for an error.
std::string row_at(const std::string& path, char separator, int64_t line) {
  CsvRows rows(path, separator);
  Row row;
  while (rows.next(row))
    if (rows.line() == line)
      return fmt::format("line {}: {}", line,
                         to_utf8(fmt::format("{}", fmt::join(row, " | ")).substr(0, 100)));
  fail(Exit::data, "{}: has changed while it is read", path);
}

Row read_header(const std::string& path, CsvRows& rows) {
  Row header;
  require(rows.next(header) && header.size() >= 2, Exit::data,
          "{}: expected a header such as file,age: the file's name, then attributes", path);
  for (size_t k = 1; k < header.size(); ++k) {
    require(!header[k].empty(), Exit::data, "{}: column {} has no name in the header", path, k + 1);
    require_utf8(path, rows.line(), header[k]);
  }
  return header;
}

Table read_table(const std::string& path, const CsvFormat& format, int64_t most) {
  CsvRows rows(path, format.separator);
  const Row header = read_header(path, rows);
  Table table;
  for (size_t k = 1; k < header.size(); ++k)
    table.columns.push_back({.header = header[k], .name = field_name(header[k])});
  double bytes = 0;
  for (Row cells; rows.next(cells);) {
    require(cells.size() == header.size(), Exit::data,
            "{}: line {}: expected {} cells as in the header, found {}", path, rows.line(), header.size(),
            cells.size());
    if (table.lines.empty()) require_distinct(path, header, cells);
    const auto [at, fresh] = table.rows.emplace(cells[0], table.rows.size());
    if (!fresh)
      fail(Exit::data, "{}: lists {} for the second time; {}; {}; remove one", path, to_utf8(cells[0]),
           row_at(path, format.separator, table.lines[at->second]),
           row_at(path, format.separator, rows.line()));
    table.lines.push_back(rows.line());
    constexpr double kCell = sizeof(int32_t) + sizeof(float), kRow = 100;
    bytes += kRow + double(cells[0].size()) + kCell * double(cells.size());
    require_room(path, fmt::format("{} rows", table.lines.size()), bytes, most);
    for (size_t k = 1; k < cells.size(); ++k) {
      require_utf8(path, rows.line(), cells[k]);
      table.columns[k - 1].add(cells[k], rows.line(), format.decimal);
    }
  }
  return table;
}

// A table may call a file by its path or by its last part, each with or without its ending, but not by two.
std::vector<size_t> rows_of(const Files& files, const Table& table, const std::string& path, char separator) {
  std::vector<size_t> out;
  std::vector<int64_t> used(table.rows.size(), -1);
  for (size_t i = 0; i < files.count(); ++i) {
    const std::string& name = files.names()[i];
    auto at = table.rows.end();
    for (const std::string& spelling : {name, stem_of(name), base_of(name), stem_of(base_of(name))}) {
      const auto also = table.rows.find(spelling);
      if (also == table.rows.end() || also == at) continue;
      if (at != table.rows.end())
        fail(Exit::data, "{}: has two rows for {}; {}; {}; remove one", path, name,
             row_at(path, separator, table.lines[at->second]),
             row_at(path, separator, table.lines[also->second]));
      at = also;
    }
    require(at != table.rows.end(), Exit::data, "{}: has no row for {}", path, name);
    const int64_t before = std::exchange(used[at->second], int64_t(i));
    require(before < 0, Exit::data, "{}: {} may mean {} or {}: write their folders too", path, at->first,
            files.names()[size_t(std::max<int64_t>(before, 0))], name);
    out.push_back(at->second);
  }
  return out;
}

void check_column(const Column& column, const std::string& path) {
  require(column.missing == 0 || (column.texts > 0 && column.numbers == 0 && !column.code.contains("")),
          Exit::data,
          "{}: line {}, column {}: expected a value, found none; fill it in, or remove the column", path,
          column.first_missing, column.header);
  require(column.is_classes() || column.texts == 0, Exit::data,
          "{}: column {}: expected numbers or at most {} distinct texts; remove the column", path,
          column.header, kMostClasses);
  require(column.texts == 0 || column.numbers == 0 || !column.has_fractions, Exit::data,
          "{}: line {}, column {}: expected a number as in other rows, found a text; mend it, or pass "
          "--decimal",
          path, column.first_text, column.header);
  require(column.texts == 0 || !column.all_differ(), Exit::data,
          "{}: column {} holds another text in every row: names or ids are no classes; remove the column",
          path, column.header);
  require(column.name != "label" || column.is_classes(), Exit::data,
          "{}: column {} holds other numbers in every row or fractions, so no classes; call it otherwise",
          path, column.header);
}

PicturePart classes_of(const Column& column, const std::vector<size_t>& rows, char decimal) {
  std::vector<std::string> names;
  for (const auto& [text, code] : column.code) names.push_back(text);
  std::sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    const auto x = column.integers ? integer_of(a, decimal) : 0,
               y = column.integers ? integer_of(b, decimal) : 0;
    return x != y ? x < y : a < b;
  });
  std::vector<int32_t> label_of(names.size()), labels;
  for (size_t k = 0; k < names.size(); ++k) label_of[size_t(column.code.at(names[k]))] = int32_t(k);
  for (size_t row : rows) labels.push_back(label_of[size_t(column.codes[row])]);
  Field field = label_field(int64_t(names.size()), names);
  field.name = column.name;
  return label_part(field, std::move(labels));
}

PicturePart numbers_of(const Column& column, const std::vector<size_t>& rows) {
  std::vector<float> values;
  for (size_t row : rows) values.push_back(column.values[row]);
  const auto shared = std::make_shared<const std::vector<float>>(std::move(values));
  return {.fields = {{.name = column.name, .shape = {}, .dtype = torch::kFloat, .class_names = {}}},
          .add = [shared, name = column.name](int64_t i, Batch& out) {
            out.set(name, torch::full({1}, (*shared)[size_t(i)], torch::kFloat));
          }};
}

}  // namespace

std::vector<PicturePart> attribute_parts(const Files& files, const PackRequest& request) {
  const std::string& csv = request.attributes;
  const CsvFormat format = csv_format(csv, request);
  const Table table = read_table(csv, format, request.most_bytes());
  const auto rows = rows_of(files, table, csv, format.separator);
  std::vector<PicturePart> out;
  for (const Column& column : table.columns) {
    check_column(column, csv);
    out.push_back(column.is_classes() ? classes_of(column, rows, format.decimal) : numbers_of(column, rows));
  }
  out.front().provenance = {{"attributes", hash_file(csv)}};
  return out;
}

}  // namespace saddle
