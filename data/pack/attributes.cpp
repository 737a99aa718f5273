// A table of attributes beside pictures: CSV with a header, whose first column is the file's name. A column
// of few distinct integers or texts becomes a field of classes, of other numbers a field of floats.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <unordered_map>

#include "data/pack/picture_parts.h"
#include "dist/error.h"
#include "dist/file.h"

namespace saddle {
namespace {

constexpr size_t kMostClasses = 256;

// Reads row after row (RFC 4180: quotes may enclose commas, line ends and doubled quotes).
class Csv {
 public:
  explicit Csv(const std::string& path) : path_(path) {
    try {
      text_ = read_file(path);
    } catch (const Error& error) {
      fail(Exit::data, "{}", error.what());
    }
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;
  }

  // False at the end. Empty lines are skipped.
  bool next(std::vector<std::string>& cells) {
    while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) ++at_;
    if (at_ >= text_.size()) return false;
    ++row_;
    cells.clear();
    do cells.push_back(cell());
    while (take(','));
    take('\r');
    require(at_ >= text_.size() || take('\n'), Exit::data, "{}: row {}: text after a closing quote", path_,
            row_);
    return true;
  }

  int64_t row() const { return row_; }

 private:
  bool take(char wanted) {
    const bool found = at_ < text_.size() && text_[at_] == wanted;
    at_ += found;
    return found;
  }

  std::string cell() {
    if (take('"')) return quoted();
    const size_t end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
    const std::string_view raw = std::string_view(text_).substr(at_, end - at_);
    at_ = end;
    const size_t first = raw.find_first_not_of(" \t"), last = raw.find_last_not_of(" \t");
    return first == std::string_view::npos ? "" : std::string(raw.substr(first, last - first + 1));
  }

  std::string quoted() {
    std::string out;
    while (true) {
      const size_t quote = text_.find('"', at_);
      require(quote != std::string::npos, Exit::data, "{}: row {}: a quote is not closed", path_, row_);
      out += text_.substr(at_, quote - at_);
      at_ = quote + 1;
      if (!take('"')) return out;
      out += '"';
    }
  }

  std::string path_, text_;
  size_t at_ = 0;
  int64_t row_ = 0;
};

template <class T>
std::optional<T> parse(const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

// A column as far as it was read: codes of its distinct texts while they are few, numbers while it has but
// those.
struct Column {
  std::string name;
  bool few = true, integers = true, numbers = true;
  std::unordered_map<std::string, int32_t> code = {};
  std::vector<int32_t> codes = {};
  std::vector<float> values = {};

  void add(const std::string& text) {
    const auto number = parse<double>(text);
    integers = integers && parse<int64_t>(text);
    numbers = numbers && number && std::isfinite(*number);
    if (numbers) values.push_back(float(*number));
    if (!few) return;
    codes.push_back(code.emplace(text, int32_t(code.size())).first->second);
    few = code.size() <= kMostClasses;
    if (!few) code = {}, codes = {};
  }

  bool is_classes() const { return few && (integers || !numbers); }
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
};

Table read_table(const std::string& path) {
  Csv csv(path);
  Table table;
  std::vector<std::string> cells;
  require(csv.next(cells) && cells.size() >= 2, Exit::data,
          "{}: expected a header such as file,age: the file's name, then attributes", path);
  for (size_t k = 1; k < cells.size(); ++k) {
    require(!cells[k].empty(), Exit::data, "{}: column {} has no name in the header", path, k + 1);
    table.columns.push_back({.name = field_name(cells[k])});
  }
  while (csv.next(cells)) {
    require(cells.size() == table.columns.size() + 1, Exit::data,
            "{}: row {}: expected {} cells as in the header, found {}", path, csv.row(),
            table.columns.size() + 1, cells.size());
    require(table.rows.emplace(cells[0], table.rows.size()).second, Exit::data,
            "{}: row {}: {} for the second time", path, csv.row(), cells[0]);
    for (size_t k = 1; k < cells.size(); ++k) table.columns[k - 1].add(cells[k]);
  }
  return table;
}

// A table may call a file by its path or by its last part, each with or without its ending.
std::vector<size_t> rows_of(const Files& files, const Table& table, const std::string& path) {
  std::vector<size_t> out;
  std::vector<int64_t> used(table.rows.size(), -1);
  for (size_t i = 0; i < files.count(); ++i) {
    const std::string& name = files.names()[i];
    auto at = table.rows.find(name);
    for (const std::string& other : {stem_of(name), base_of(name), stem_of(base_of(name))})
      if (at == table.rows.end()) at = table.rows.find(other);
    require(at != table.rows.end(), Exit::data, "{}: has no row for {}", path, name);
    const int64_t before = std::exchange(used[at->second], int64_t(i));
    require(before < 0, Exit::data, "{}: {} may mean {} or {}: write their folders too", path, at->first,
            files.names()[size_t(std::max<int64_t>(before, 0))], name);
    out.push_back(at->second);
  }
  return out;
}

PicturePart classes_of(const Column& column, const std::vector<size_t>& rows) {
  std::vector<std::string> names;
  for (const auto& [text, code] : column.code) names.push_back(text);
  std::sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    const auto x = column.integers ? parse<int64_t>(a) : 0, y = column.integers ? parse<int64_t>(b) : 0;
    return x != y ? x < y : a < b;
  });
  std::vector<int32_t> label_of(names.size()), labels;
  for (size_t k = 0; k < names.size(); ++k) label_of[size_t(column.code.at(names[k]))] = int32_t(k);
  for (size_t row : rows) labels.push_back(label_of[size_t(column.codes[row])]);
  for (std::string& name : names) name = readable(name);
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

std::vector<PicturePart> attribute_parts(const Files& files, const std::string& csv) {
  const Table table = read_table(csv);
  const auto rows = rows_of(files, table, csv);
  std::vector<PicturePart> out;
  for (const Column& column : table.columns) {
    require(column.is_classes() || column.numbers, Exit::data,
            "{}: column {}: expected numbers or at most {} distinct texts; remove the column", csv,
            column.name, kMostClasses);
    out.push_back(column.is_classes() ? classes_of(column, rows) : numbers_of(column, rows));
  }
  out.front().provenance = {{"attributes", hash_file(csv)}};
  return out;
}

}  // namespace saddle
