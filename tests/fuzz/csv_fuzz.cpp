// A table, of numbers or of SMILES, or a text; the last byte says which, and what is asked for.
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saddle;
  if (size == 0) return 0;
  const uint8_t flags = data[size - 1];
  const std::string_view bytes = fuzz::view(data, size - 1);
  if ((flags & 3) == 3) {
    PackRequest request{.source = fuzz::put("x.txt", bytes)};
    if (flags & 4) request.tokens = "word";
    fuzz::import(kText, request);
    return 0;
  }
  PackRequest request{.source = fuzz::put(flags & 4 ? "x.tsv" : "x.csv", bytes)};
  if (flags & 8) request.separator = flags & 16 ? "semicolon" : " ";
  if (flags & 32) request.decimal = flags & 64 ? "comma" : "point";
  fuzz::import((flags & 3) == 2 ? kSmiles : kCsv, request);
  return 0;
}
