// A file of SMILES, a molecule a line.
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saddle;
  PackRequest request{.source = fuzz::put("x.smi", fuzz::view(data, size))};
  request.tokens = "smiles";
  fuzz::import(kSmiles, request);
  return 0;
}
