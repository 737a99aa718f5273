// Molecules: .smi files (a SMILES, then perhaps a name, a line), and tables with a column SMILES, such as
// MOSES (Polykovskiy et al. 2020), whose column SPLIT says which part a molecule belongs to.
#include <algorithm>
#include <cctype>
#include <filesystem>

#include "data/pack/gz.h"
#include "data/pack/importers.h"
#include "data/pack/smiles_tokens.h"
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

std::vector<std::string> columns_of(std::string_view line) {  // RFC 4180
  std::vector<std::string> out(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"')
      out.back() += line[++i];
    else if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      out.emplace_back();
    else if (c != '\r')
      out.back() += c;
  }
  return out;
}

int64_t find_column(const std::vector<std::string>& header, const char* name) {
  const auto found =
      std::find_if(header.begin(), header.end(), [&](const auto& column) { return lower(column) == name; });
  return found == header.end() ? -1 : found - header.begin();
}

// The names of the columns; none if the file cannot be read.
std::vector<std::string> header_of(const std::string& path) try {
  std::string head(1 << 16, '\0');
  head.resize(size_t(GzFile(path).read(head.data(), int64_t(head.size()))));
  if (head.starts_with("\xEF\xBB\xBF")) head.erase(0, 3);
  return columns_of(std::string_view(head).substr(0, head.find('\n')));
} catch (const Error&) {
  return {};
}

bool is_table(const std::string& path) {
  return ends_in(lower(path), {".csv"}) && fs::is_regular_file(path) &&
         find_column(header_of(path), "smiles") >= 0;
}

// The first word of a line; a heading is none.
bool select_word(int64_t number, std::string& line) {
  if (is_blank(line)) return false;
  line.erase(0, line.find_first_not_of(" \t"));
  line.resize(std::min(line.size(), line.find_first_of(" \t\r,")));
  return number > 1 || lower(line) != "smiles";
}

struct Columns {
  int64_t smiles, split;
  std::string wanted;  // of the column split

  bool operator()(int64_t number, std::string& line) const {
    if (number == 1 || is_blank(line)) return false;
    auto columns = columns_of(line);
    const auto has = [&](int64_t column) { return column >= 0 && column < int64_t(columns.size()); };
    if (has(split) && columns[size_t(split)] != wanted) return false;
    line = has(smiles) ? std::move(columns[size_t(smiles)]) : "";  // which is malformed
    return true;
  }
};

Source open_smiles(const PackRequest& request) {
  require(!request.was_given("tokens") || request.tokens == "smiles", Exit::usage,
          "--tokens: {} holds SMILES, found {}; rename it to .txt to read it as text", request.source,
          request.tokens);
  Sequences how{.tokenize = smiles_tokens, .select = select_word, .drop_longer = true};
  Columns columns{.smiles = -1, .split = -1, .wanted = request.split};
  if (is_table(request.source)) {
    const auto header = header_of(request.source);
    columns.smiles = find_column(header, "smiles"), columns.split = find_column(header, "split");
    how.select = columns;
  }
  require(columns.split >= 0 || !request.was_given("split"), Exit::usage, "--split: {} has no column SPLIT",
          request.source);
  Source source = open_sequences(request, how);
  if (columns.split >= 0) source.provenance["split"] = request.split;
  return source;
}

}  // namespace

const Importer kSmiles{
    .name = "smiles",
    .takes = "molecules: .smi or .smiles, or .csv with a column SMILES (and SPLIT), also .gz",
    .flags = "length vocabulary split tokens",
    .accepts = [](const PackRequest& request) -> Why {
      const bool list = ends_in(lower(request.source), {".smi", ".smiles"});
      if (list && fs::is_regular_file(request.source)) return "its name ends in .smi or .smiles";
      if (is_table(request.source)) return "it is a table with a column SMILES";
      return {};
    },
    .open = open_smiles};

}  // namespace saddle
