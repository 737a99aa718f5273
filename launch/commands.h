// The subcommands, one file each. `add_*` describes the flags to CLI11 and, when its subcommand is chosen,
// sets `chosen` to the work to do, which throws Error or returns a status.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "dist/comm.h"

namespace saddle {

// Runs after MPI has started, on every rank.
struct OnRanks {
  template <class Work>
  requires std::is_invocable_r_v<int, Work, World&> OnRanks(Work to_do,
                                                            std::function<std::string()> network = {})
      : work(std::move(to_do)), watch_interface(std::move(network)) {}
  std::function<int(World&)> work;
  std::function<std::string()> watch_interface;  // the option, before the world is there; may be empty
};
using Plain = std::function<int()>;  // runs without MPI, in one process or in each that a launcher starts
using Command = std::variant<std::monostate, OnRanks, Plain>;

void add_pack(CLI::App& app, Command& chosen);
void add_unpack(CLI::App& app, Command& chosen);
void add_train(CLI::App& app, Command& chosen);
void add_sample(CLI::App& app, Command& chosen);
void add_evaluate(CLI::App& app, Command& chosen);
void add_check(CLI::App& app, Command& chosen);
void add_checkpoints(CLI::App& app, Command& chosen);
void add_bench(CLI::App& app, Command& chosen);
void add_doctor(CLI::App& app, Command& chosen);
void add_flight(CLI::App& app, Command& chosen);
void add_export(CLI::App& app, Command& chosen);
void add_import(CLI::App& app, Command& chosen);
void add_list(CLI::App& app, Command& chosen);
void add_launch(CLI::App& app, Command& chosen);

// Exit::usage or Exit::data if `saddle train` with these arguments would refuse them or lacks one: what can
// be told without ranks, nets and reading the data. dry_run.h says more.
void validate_train(const std::vector<std::string>& arguments);

}  // namespace saddle
