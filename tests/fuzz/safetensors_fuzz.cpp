// A file of tensors. If the first byte is odd, what follows the second one is its header, whose length is
// made to fit, and the second one says how many bytes of tensors there are: else hardly an input would come
// past it.
#include "dist/safetensors.h"

#include <cstring>

#include "dist/file.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saddle;
  if (size < 2) return 0;
  const std::string_view rest = fuzz::view(data + 2, size - 2);
  std::string bytes(rest);
  if (data[0] & 1) {
    bytes.assign(sizeof(uint64_t), '\0');
    const uint64_t length = rest.size();
    std::memcpy(bytes.data(), &length, sizeof length);
    bytes += rest;
    bytes.append(data[1], '\1');
  }
  const std::string path = fuzz::put("x.safetensors", bytes);
  const auto read = [&](bool all) {
    fuzz::survive([&] {
      size_t there = 0;
      for (const auto& [name, tensor] : read_safetensors(path, [&](const std::string&) { return all; }))
        there += tensor.nbytes();
      fuzz::check(there <= bytes.size(), "no more bytes than the file has");
    });
  };
  read(false);
  read(true);
  return 0;
}
