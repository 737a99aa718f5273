// A NIfTI volume, plain or compressed; the last byte says how it is cut.
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saddle;
  if (size == 0) return 0;
  const uint8_t flags = data[size - 1];
  PackRequest request{.source = fuzz::put("x.nii", fuzz::view(data, size - 1))};
  if (flags & 1) request.slices = flags & 2 ? "axial" : flags & 4 ? "coronal" : "sagittal";
  if (!(flags & 1) && (flags & 2)) request.patch = "2x1x2";
  if (flags & 8) request.mask = request.source;
  if ((flags & 17) == 17) request.size = ImageSize{3, 5};
  fuzz::import(kNifti, request);
  return 0;
}
