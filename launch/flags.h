// Flags that several subcommands share.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace saddle {

// --step N or best: which checkpoint of a run; `step` stays empty without it.
CLI::Option* add_step(CLI::App* sub, std::string& step, const std::string& flag = "--step",
                      const std::string& help =
                          "Take the checkpoint of this step, or `best` "
                          "(checkpoint.best; default: the newest)");

// --device auto, cpu or cuda.
CLI::Option* add_device(CLI::App* sub, std::string& device);

std::string ending_of(const std::string& path);  // ".png", in lower case

// Why `path` cannot be written in one of the formats that these endings stand for, or at all; empty if it
// can.
std::string unwritable(const std::string& path, const std::vector<std::string>& endings);
// The same as a check of a flag, before any work.
CLI::Validator written_as(std::vector<std::string> endings);

}  // namespace saddle
