// The subcommands, one file each. `add_*` describes the flags to CLI11 and, when its subcommand is chosen,
// sets `chosen` to the work to do. The work runs after MPI has started, on every rank; it throws Error or
// returns a status.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "dist/comm.h"

namespace saddle {

using Command = std::function<int(World&)>;

void add_pack(CLI::App& app, Command& chosen);
void add_unpack(CLI::App& app, Command& chosen);
void add_train(CLI::App& app, Command& chosen);
void add_sample(CLI::App& app, Command& chosen);
void add_evaluate(CLI::App& app, Command& chosen);
void add_check(CLI::App& app, Command& chosen);
void add_bench(CLI::App& app, Command& chosen);
void add_doctor(CLI::App& app, Command& chosen);
void add_flight(CLI::App& app, Command& chosen);
void add_export(CLI::App& app, Command& chosen);
void add_import(CLI::App& app, Command& chosen);
void add_list(CLI::App& app, Command& chosen);

}  // namespace saddle
