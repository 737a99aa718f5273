// TOML of options or of a site; the last byte says of which.
#include "launch/run/site.h"
#include "models/options.h"
#include "tests/fuzz/fuzz.h"

namespace saddle::fuzz {
namespace {

void read_options(const std::string& document) {
  int64_t batch = 64;
  double rate = 2e-4;
  bool on = false;
  std::string loss = "hinge", folder;
  OptionTable table;
  table.add("batch", batch, "samples a step", {1, 4096, "samples"});
  table.add("g.lr", rate, "learning rate", {0, 1});
  table.add("on", on, "a switch");
  table.add("loss", loss, "pair of losses", {"hinge", "lsgan"});
  table.add("data.folder", folder, "any text");
  const auto pairs = parse_toml(document, "fuzz");
  for (const auto& [key, text] : pairs)
    survive([&, key = key, text = text] { table.set(key, text, "fuzz"); });
  check(batch >= 1 && batch <= 4096 && rate >= 0 && rate <= 1, "numbers within their limits");
  const std::string written = table.toml();
  for (const auto& [key, text] : parse_toml(written, "again")) table.set(key, text, "again");
  check(table.toml() == written, "options that come back as they were");
}

}  // namespace
}  // namespace saddle::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saddle;
  if (size == 0) return 0;
  const std::string_view document = fuzz::view(data, size - 1);
  if (data[size - 1] & 1)
    fuzz::survive([&] { read_site(fuzz::put("site.toml", document)); });
  else
    fuzz::survive([&] { fuzz::read_options(std::string(document)); });
  return 0;
}
