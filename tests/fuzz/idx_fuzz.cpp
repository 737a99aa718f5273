// An IDX file of images; the last byte is the size of the file of labels, which stands before it.
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saddle;
  if (size == 0) return 0;
  const std::string_view files = fuzz::view(data, size - 1);
  const size_t labels = std::min<size_t>(data[size - 1], files.size());
  PackRequest request{.source = fuzz::put("train-images-idx3-ubyte", files.substr(0, files.size() - labels))};
  const std::string beside = fuzz::put("train-labels-idx1-ubyte", files.substr(files.size() - labels));
  if (labels == 0) std::filesystem::remove(beside);
  fuzz::import(kIdx, request);
  return 0;
}
