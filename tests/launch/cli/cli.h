// The program as users start it: plainly and under mpirun. Each command is a process of its own; each test
// has a folder of its own with a small data set of points, "ring".
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/launch/checkpoint_files.h"
#include "tests/launch/log_lines.h"
#include "tests/support/shell.h"

namespace saddle::test {

inline Result saddle(const std::string& arguments, int ranks = 0) {
  return shell(on_ranks(ranks) + "timeout 120 " SADDLE_BINARY " " + arguments);
}

class Cli : public testing::Test {
 protected:
  std::string dir_ = testing::TempDir() + "saddle_cli_" + std::to_string(::getpid()) + "/";

  void SetUp() override {
    std::filesystem::create_directories(dir_);
    expect_ok(saddle("pack ring8 --samples 2000 --seed 1 --out " + dir_ + "ring"));
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  static void expect_ok(const Result& result) { ASSERT_EQ(result.status, 0) << result.output; }
  // One clear error: the status, and a line that holds `text`.
  static void expect_error(const Result& result, int status, const std::string& text) {
    EXPECT_EQ(result.status, status) << result.output;
    EXPECT_THAT(result.output, testing::HasSubstr(text));
    const size_t first = result.output.find("saddle: ");
    ASSERT_NE(first, std::string::npos) << result.output;
    EXPECT_EQ(result.output.find("saddle: ", first + 1), std::string::npos) << "more than one error:\n"
                                                                            << result.output;
  }

  std::string train(const std::string& out, const std::string& more = "",
                    const std::string& recipe = "gan-ns") const {
    return fmt::format(
        "train {} --data {}ring --out {}{} --set batch=16 --set g.width=8 --set d.width=8 --set tick.every=5 "
        "{}",
        recipe, dir_, dir_, out, more);
  }
  std::vector<nlohmann::json> log_of(const std::string& out) const { return log_lines(dir_ + out); }
  std::map<std::string, torch::Tensor> weights(const std::string& out, int64_t step) const {
    return checkpoint_tensors(dir_ + out, step);
  }
};

}  // namespace saddle::test
