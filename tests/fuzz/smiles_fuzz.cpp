// Lines of SMILES: their tokens, put together, are the line, unless something is wrong at a place within it.
#include "data/pack/texts/smiles_tokens.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saddle;
  std::string line(fuzz::view(data, size)), joined;
  const Tokens tokens = smiles_tokens(line);
  for (const std::string_view token : tokens.list) joined += token;
  fuzz::check(tokens.problem ? line.starts_with(joined) && tokens.at <= line.size() : joined == line,
              "tokens that give back the line");
  return 0;
}
