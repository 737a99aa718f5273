// Molecules: .smi files (a SMILES, then perhaps a name, a line), and tables with a column SMILES, such as
// MOSES (Polykovskiy et al. 2020), whose column SPLIT says which part a molecule belongs to.
#include <algorithm>
#include <cctype>
#include <filesystem>

#include "data/pack/importers.h"
#include "data/pack/tables/csv_rows.h"
#include "data/pack/texts/smiles_tokens.h"
#include "dist/error.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool ends_in(const std::string& path, std::initializer_list<const char*> tails) {
  return std::any_of(tails.begin(), tails.end(), [&](const char* tail) {
    return path.ends_with(tail) || path.ends_with(std::string(tail) + ".gz");
  });
}

int64_t find_column(const Row& header, const char* name) {
  const auto found =
      std::find_if(header.begin(), header.end(), [&](const auto& column) { return lower(column) == name; });
  return found == header.end() ? -1 : found - header.begin();
}

bool may_be_table(const std::string& path) {
  return ends_in(lower(path), {".csv", ".tsv"}) && fs::is_regular_file(path);
}

// Whether its header, in whatever way it is separated, has a column SMILES.
bool is_table(const std::string& path) try {
  if (!may_be_table(path)) return false;
  for (const char separator : {',', ';', '\t', '|'}) {
    Row header;
    if (CsvRows(path, separator).next(header) && find_column(header, "smiles") >= 0) return true;
  }
  return false;
} catch (const Error&) {
  return false;
}

// The first word of each line; a heading is none.
NextText first_words(const std::string& path) {
  return [next = lines_of(path)](std::string& line, int64_t& number) {
    while (next(line, number)) {
      if (is_blank(line)) continue;
      line.erase(0, line.find_first_not_of(" \t"));
      line.resize(std::min(line.size(), line.find_first_of(" \t,")));
      if (number > 1 || lower(line) != "smiles") return true;
    }
    return false;
  };
}

struct Columns {
  char separator;
  int64_t smiles, split;
  std::string wanted;  // of the column split

  NextText operator()(const std::string& path) const {
    const auto rows = std::make_shared<CsvRows>(path, separator);
    Row header;
    rows->next(header);
    return [*this, rows, row = Row()](std::string& text, int64_t& line) mutable {
      const auto has = [&](int64_t column) { return column >= 0 && column < int64_t(row.size()); };
      while (rows->next(row)) {
        if (has(split) && row[size_t(split)] != wanted) continue;
        text = has(smiles) ? row[size_t(smiles)] : "";  // which is malformed
        line = rows->line();
        return true;
      }
      return false;
    };
  }
};

Source open_smiles(const PackRequest& request) {
  require(!request.was_given("tokens") || request.tokens == "smiles", Exit::usage,
          "--tokens: {} holds SMILES, found {}; rename it to .txt to read it as text", request.source,
          request.tokens);
  Sequences how{.tokenize = smiles_tokens, .open = first_words, .drop_longer = true};
  Columns columns{.separator = ',', .smiles = -1, .split = -1, .wanted = request.split};
  const bool table = may_be_table(request.source);
  if (table) {
    columns.separator = csv_format(request.source, request).separator;
    CsvRows rows(request.source, columns.separator);
    Row header, first;
    rows.next(header), rows.next(first);
    require_distinct(request.source, header, first);
    columns.smiles = find_column(header, "smiles"), columns.split = find_column(header, "split");
    require(columns.smiles >= 0, Exit::data, "{}: expected a column SMILES, found none", request.source);
    how.open = columns;
  }
  require(table || !request.was_given("separator"), Exit::usage, "--separator: {} is no table",
          request.source);
  require(columns.split >= 0 || !request.was_given("split"), Exit::usage, "--split: {} has no column SPLIT",
          request.source);
  Source source = open_sequences(request, how);
  if (columns.split >= 0) source.provenance["split"] = request.split;
  return source;
}

}  // namespace

const Importer kSmiles{
    .name = "smiles",
    .takes = "molecules: .smi or .smiles, or .csv or .tsv with a column SMILES (and SPLIT), also .gz",
    .flags = "length vocabulary split tokens separator",
    .accepts = [](const PackRequest& request) -> Why {
      const bool list = ends_in(lower(request.source), {".smi", ".smiles"});
      if (list && fs::is_regular_file(request.source)) return "its name ends in .smi or .smiles";
      if (is_table(request.source)) return "it is a table with a column SMILES";
      return {};
    },
    .open = open_smiles};

}  // namespace saddle
