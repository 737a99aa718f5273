// dataset.json of StyleGAN's layout, in a folder with two pictures: in an archive (zip_fuzz.cpp) its checksum
// would keep most changes out.
#include "data/view/picture.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saddle;
  static const bool once = [] {
    for (const char* name : {"0.png", "1.png"})
      fuzz::put(name, encode_png(torch::zeros({1, 2, 3}, torch::kByte)));
    return true;
  }();
  static_cast<void>(once);
  const std::filesystem::path table = fuzz::put("dataset.json", fuzz::view(data, size));
  fuzz::import(kStyleGan, {.source = table.parent_path().string()});
  return 0;
}
