// A text file, one sample a line: names, sentences, or whatever else is written one below the other.
#include <algorithm>
#include <filesystem>

#include "data/pack/gz.h"
#include "data/pack/importers.h"
#include "data/pack/smiles_tokens.h"
#include "data/pack/text_tokens.h"
#include "data/pack/utf8.h"
#include "dist/error.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

// Its first bytes are UTF-8 without control characters.
bool reads_as_text(const std::string& path) try {
  std::string head(4096, '\0');
  head.resize(size_t(GzFile(path).read(head.data(), int64_t(head.size()))));
  size_t at = 0;
  while (at < head.size()) {
    const char32_t code = next_code_point(head, at);
    if (code == kMalformed) return head.size() == 4096 && at + 4 > head.size();  // cut in its middle
    if (code < 0x20 && code != '\t' && code != '\n' && code != '\r') return false;
  }
  return !head.empty();
} catch (const Error&) {
  return false;
}

Why accepts_text(const PackRequest& request) {
  const fs::path path(request.source);
  if (!fs::is_regular_file(path)) return {};
  for (const char* tail : {".txt", ".text", ".txt.gz"})
    if (path.filename().string().ends_with(tail)) return std::string("its name ends in ") + tail;
  if (!path.has_extension() && reads_as_text(path)) return "it reads as text";
  return {};
}

Source open_text(const PackRequest& request) {
  Sequences how{.select = [](int64_t, std::string& line) { return !is_blank(line); }};
  if (request.tokens == "char") how.tokenize = char_tokens;
  if (request.tokens == "word") how.tokenize = word_tokens;
  if (request.tokens == "smiles") how.tokenize = smiles_tokens, how.drop_longer = true;
  require(how.tokenize != nullptr, Exit::usage, "--tokens: expected char, word or smiles, found {}",
          request.tokens);
  Source source = open_sequences(request, how);
  source.provenance["tokens"] = request.tokens;
  return source;
}

}  // namespace

const Importer kText{.name = "text",
                     .takes = "a text file, one sample a line (.txt, .txt.gz, or without a suffix)",
                     .flags = "tokens length vocabulary",
                     .accepts = accepts_text,
                     .open = open_text};

}  // namespace saddle
