#include "launch/run/log_file.h"

#include <sstream>

#include "dist/error.h"
#include "dist/json.h"

namespace saddle {

std::string lines_until(const std::string& text, int64_t step, int64_t& damaged) {
  std::string kept;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) try {
      const nlohmann::json entry = parse_json(line, "");
      require(entry.is_object(), Exit::data, "expected an object");
      if (!entry.contains("step") || integer_at(entry, "step") <= step) kept += line + "\n";
    } catch (const Error&) {
      ++damaged;
    }
  return kept;
}

}  // namespace saddle
