// A NumPy file; the last byte says whether it is an archive, and what is asked for.
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saddle;
  if (size == 0) return 0;
  const uint8_t flags = data[size - 1];
  PackRequest request{.source = fuzz::put(flags & 1 ? "x.npz" : "x.npy", fuzz::view(data, size - 1))};
  if (flags & 2) request.axes = flags & 4 ? "NCHW" : "NHWC";
  if (flags & 8) request.size = ImageSize{3, 5};
  if (flags & 16) request.range = flags & 32 ? "0:1" : "-1000:3000";
  fuzz::import(kNpy, request);
  return 0;
}
