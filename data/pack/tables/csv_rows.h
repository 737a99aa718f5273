// Tables in text (RFC 4180), row after row: what every importer of tables reads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/pack/files/text_file.h"
#include "data/pack/source.h"

namespace saddle {

using Row = std::vector<std::string>;

struct CsvFormat {
  char separator = ',';
  char decimal = '.';
};

// As --separator and --decimal say, else the only way in which the table can be read: Exit::usage writes out
// two that there are.
CsvFormat csv_format(const std::string& path, const PackRequest& request);

class CsvRows {
 public:
  CsvRows(const std::string& path, char separator);

  // The next that is not blank; false at the end. A quoted cell may hold separators, line ends and doubled
  // quotes.
  bool next(Row& row);
  int64_t line() const { return start_; }          // where the row begins, from 1
  bool has_stray_quote() const { return stray_; }  // a row so far had a quote within an unquoted cell
  // What a first line "sep=;" of Excel's says, which is no row.
  std::optional<char> told() const { return told_; }

 private:
  void skip_told();
  bool cell(std::string& out);
  void quoted(std::string& out);
  int peek();
  int take();

  std::string path_;
  char separator_;
  TextFile file_;
  std::string piece_;
  size_t at_ = 0;
  int64_t line_ = 1, start_ = 1, bytes_ = 0;
  bool stray_ = false;
  std::optional<char> told_ = {};
};

std::optional<double> number_of(const std::string& text, char decimal);
std::optional<int64_t> integer_of(const std::string& text, char decimal);  // "3.0" too, within 2^53
// "", nan, NA, null, ? and the like, which stand for a number that is not there.
bool is_missing(const std::string& text);
// Digits with marks between them that are no number here: another decimal mark, separators of thousands, a
// percent sign.
bool is_formatted_number(const std::string& text, char decimal);
// "line 3, column age"; columns without a header are counted from 1.
std::string place_of(int64_t line, size_t column, const Row& header);
// Exit::data unless a cell is UTF-8.
void require_utf8(const std::string& path, int64_t line, const std::string& cell);
// The first row is a header if a number, however it is written, is below a text; or as pandas numbers
// columns: nothing above its index, then 0, 1, ...
bool is_header(const Row& first, const Row& second, char decimal);
// Exit::data if two columns have one name; `values` is the row below.
void require_distinct(const std::string& path, const Row& header, const Row& values);

}  // namespace saddle
