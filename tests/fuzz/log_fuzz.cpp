// log.jsonl of a run that goes on.
#include "launch/run/log_file.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saddle;
  const std::string text(fuzz::view(data, size));
  int64_t damaged = 0, again = 0;
  const std::string kept = lines_until(text, 5, damaged);
  fuzz::check(kept.size() <= text.size() + 1, "no more than there was");
  fuzz::check(lines_until(kept, 5, again) == kept && again == 0, "lines that are kept again");
  return 0;
}
