// A text file, one sample a line: names, sentences, or whatever else is written one below the other.
#include <algorithm>
#include <filesystem>

#include "data/pack/files/text_file.h"
#include "data/pack/importers.h"
#include "data/pack/texts/smiles_tokens.h"
#include "data/pack/texts/text_tokens.h"
#include "dist/error.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

// It begins with characters of UTF-8 or UTF-16 that are no control characters.
bool reads_as_text(const std::string& path) try {
  constexpr size_t kHead = 4096;
  std::string head;
  TextFile(path).read(head);
  head.resize(std::min(head.size(), kHead));
  size_t at = 0;
  while (at < head.size()) {
    const char32_t code = next_code_point(head, at);
    if (code == kMalformed) return head.size() == kHead && at + 4 > head.size();  // cut in its middle
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

NextText filled_lines(const std::string& path) {
  return [next = lines_of(path)](std::string& line, int64_t& number) {
    bool more = next(line, number);
    while (more && is_blank(line)) more = next(line, number);
    return more;
  };
}

Source open_text(const PackRequest& request) {
  Sequences how{.open = filled_lines};
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
