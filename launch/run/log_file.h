// log.jsonl: a JSON object a line, most with the step that they tell of.
#pragma once

#include <cstdint>
#include <string>

namespace saddle {

// Of a log's text the lines up to `step`, and those that tell of none; `damaged` counts those that are no
// JSON object with an integer as its step, as a killed run leaves one.
std::string lines_until(const std::string& text, int64_t step, int64_t& damaged);

}  // namespace saddle
