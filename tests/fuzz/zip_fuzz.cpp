// A ZIP archive of pictures, plain or StyleGAN's; the last byte says what is asked for. Checksums keep most
// changes of the contents out: picture_fuzz.cpp and stylegan_fuzz.cpp have those.
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saddle;
  if (size == 0) return 0;
  const uint8_t flags = data[size - 1];
  PackRequest request{.source = fuzz::put("x.zip", fuzz::view(data, size - 1))};
  if (flags & 2) request.size = ImageSize{3, 5};
  if (flags & 4) request.channels = 4;
  if (flags & 8) request.crop = "pad";
  fuzz::import(flags & 1 ? kStyleGan : kPictures, request);
  return 0;
}
