// What is said of a wrong command line: one line that names what was meant.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace saddle {

// `arguments` are those that `app` has just refused, without the program's name.
std::string usage_error(const CLI::App& app, const CLI::ParseError& error,
                        const std::vector<std::string>& arguments);

}  // namespace saddle
