#include "data/pack/tables/csv_rows.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "data/pack/arrays/arrays.h"
#include "dist/error.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

constexpr int kEnd = -1;
constexpr int64_t kMostBytes = 64 << 20;  // of a row
constexpr size_t kMostCells = 1 << 20;

void trim(std::string& text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.pop_back();
}

std::string lower(std::string text) {
  for (char& c : text) c = char(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

CsvRows::CsvRows(const std::string& path, char separator) : path_(path), separator_(separator), file_(path) {
  skip_told();
}

void CsvRows::skip_told() {
  constexpr std::string_view kTold = "sep=";
  if (peek() == kEnd || lower(piece_.substr(0, kTold.size())) != kTold) return;
  const size_t end = kTold.size() + 1;
  if (piece_.size() < end || (piece_.size() > end && piece_[end] != '\n')) return;
  told_ = piece_[end - 1];
  at_ = std::min(end + 1, piece_.size()), ++line_;
}

bool CsvRows::next(Row& row) {
  while (peek() == '\n' || (separator_ == ' ' && peek() == ' ')) take();
  if (peek() == kEnd) return false;
  start_ = line_, bytes_ = 0;
  size_t cells = 0;
  for (bool more = true; more; ++cells) {
    require(cells < kMostCells, Exit::data, "{}: line {}: more than {} cells", path_, start_, kMostCells);
    if (cells == row.size()) row.emplace_back();
    row[cells].clear();
    more = cell(row[cells]);
  }
  row.resize(cells);
  return true;
}

// False if the row ends with it. Spaces as separators may be several.
bool CsvRows::cell(std::string& out) {
  while (peek() == ' ') take();
  if (peek() == '"') quoted(out);
  for (;;) {
    const int c = take();
    const bool ends = c == kEnd || c == '\n';
    if (c == separator_ && c == ' ')
      while (peek() == ' ') take();
    if (ends || c == separator_) {
      trim(out);
      return !ends && !(separator_ == ' ' && (peek() == '\n' || peek() == kEnd));
    }
    stray_ |= c == '"';
    out += char(c);
  }
}

void CsvRows::quoted(std::string& out) {
  take();
  for (;;) {
    const int c = take();
    require(c != kEnd, Exit::data, "{}: line {}: a quoted cell does not end", path_, start_);
    if (c == '"' && peek() != '"') break;
    if (c == '"') take();
    out += char(c);
  }
  while ((peek() == ' ' || peek() == '\t') && peek() != separator_) take();
  require(peek() == separator_ || peek() == '\n' || peek() == kEnd, Exit::data,
          "{}: line {}: text after a closing quote", path_, start_);
}

int CsvRows::peek() {
  if (at_ == piece_.size()) {
    at_ = 0;
    if (!file_.read(piece_)) return kEnd;
  }
  return uint8_t(piece_[at_]);
}

int CsvRows::take() {
  const int c = peek();
  if (c == kEnd) return c;
  ++at_;
  line_ += c == '\n';
  require(++bytes_ <= kMostBytes, Exit::data, "{}: line {}: a row of more than {} MiB", path_, start_,
          kMostBytes >> 20);
  return c;
}

std::optional<double> number_of(const std::string& text, char decimal) {
  std::string pointed = text;
  if (decimal != '.') {
    if (text.find('.') != std::string::npos) return {};
    std::replace(pointed.begin(), pointed.end(), decimal, '.');
  }
  const char *from = pointed.data() + (pointed.size() > 1 && pointed[0] == '+'),
             *end = pointed.data() + pointed.size();
  double value = 0;
  const auto [stop, error] = std::from_chars(from, end, value);
  if (error != std::errc() || stop != end || std::isnan(value)) return {};
  return value;
}

std::optional<int64_t> integer_of(const std::string& text, char decimal) {
  const auto value = number_of(text, decimal);
  constexpr double kMost = double(int64_t{1} << 53);
  if (!value || std::floor(*value) != *value || std::abs(*value) > kMost) return {};
  return int64_t(*value);
}

bool is_missing(const std::string& text) {
  constexpr size_t kLongest = 7;
  if (text.size() > kLongest) return false;
  const std::string word = lower(text);
  for (const char* each :
       {"", "nan", "-nan", "na", "n/a", "#n/a", "<na>", "null", "none", "nil", "?", "-", ".", "missing"})
    if (word == each) return true;
  return false;
}

bool is_formatted_number(const std::string& text, char decimal) {
  if (number_of(text, decimal)) return false;
  bool digit = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool space = text.substr(i, 2) == "\xc2\xa0" || text.substr(i, 3) == "\xe2\x80\xaf";
    digit |= c >= '0' && c <= '9';
    if (space)
      i += c == '\xc2' ? 1 : 2;
    else if (!(c >= '0' && c <= '9') && std::string_view(".,' _%").find(c) == std::string_view::npos &&
             !(i == 0 && (c == '-' || c == '+')))
      return false;
  }
  return digit;
}

std::string place_of(int64_t line, size_t column, const Row& header) {
  const bool named = column < header.size() && !header[column].empty();
  return fmt::format("line {}, column {}", line,
                     named ? to_utf8(header[column]) : std::to_string(column + 1));
}

void require_utf8(const std::string& path, int64_t line, const std::string& cell) {
  if (is_utf8(cell)) return;
  size_t at = 0;
  while (next_code_point(cell, at) != kMalformed) {
  }
  fail(
      Exit::data,
      "{}: line {}: expected UTF-8, found the byte {:02x}; convert the file: iconv -f LATIN1 -t UTF-8, or -f "
      "CP1252 as Windows writes",
      path, line, uint8_t(cell[at]));
}

bool is_header(const Row& first, const Row& second, char decimal) {
  size_t running = 1;
  while (running < first.size() && first[running] == std::to_string(running - 1)) ++running;
  if (first.size() > 1 && first[0].empty() && running == first.size() && !second[0].empty()) return true;
  for (size_t i = 0; i < std::min(first.size(), second.size()); ++i)
    if (!number_of(first[i], decimal) && !is_missing(first[i]) && !is_formatted_number(first[i], decimal) &&
        (number_of(second[i], decimal) || is_formatted_number(second[i], decimal)))
      return true;
  return false;
}

void require_distinct(const std::string& path, const Row& header, const Row& values) {
  std::map<std::string, size_t> seen;
  const auto value = [&](size_t column) {
    return column < values.size() ? to_utf8(values[column].substr(0, 40)) : "";
  };
  for (size_t i = 0; i < header.size(); ++i) {
    const auto [before, fresh] = seen.emplace(header[i], i);
    require(
        fresh || header[i].empty(), Exit::data,
        "{}: columns {} and {} are both called {}, the first row has \"{}\" and \"{}\" in them: rename or "
        "remove one",
        path, before->second + 1, i + 1, to_utf8(header[i]), value(before->second), value(i));
  }
}

}  // namespace saddle
