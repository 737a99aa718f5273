// Files whose names are no UTF-8, from a table to a resumed run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "dist/file.h"
#include "tests/data/folder.h"
#include "tests/support/shell.h"

namespace saddle {
namespace {

using test::Folder;
using test::Result;
using testing::HasSubstr;

Result saddle(const Folder& folder, const std::string& arguments) {
  return test::shell("cd '" + folder.path() + "' && timeout 120 " SADDLE_BINARY " " + arguments);
}

TEST(Paths, OfAnyBytesArePackedTrainedOnAndResumed) {
  const Folder folder;
  std::string table =
      "a,b,gr\xc3\xb6\xc3\x9f"
      "e\n";
  for (int i = 0; i < 40; ++i) table += fmt::format("{},{},{}\n", i, i * 0.5, i % 2 ? "caf\xc3\xa9" : "tea");
  test::put(folder / "caf\xe9.csv", table);
  const auto run = [&](const std::string& arguments) {
    const Result result = saddle(folder, arguments);
    EXPECT_EQ(result.status, 0) << result.output;
    return result.output;
  };
  run("pack caf\xe9.csv --out d\xe9");
  EXPECT_THAT(run("pack caf\xe9.csv --out d\xe9"), HasSubstr("already packed"));
  EXPECT_THAT(run("check d\xe9"), HasSubstr("caf\xc3\xa9"));
  const std::string train =
      "train gan-ns --data d\xe9 --out r\xe9 --set batch=8 --set g.width=8 --set d.width=8 ";
  run(train + "--steps 2");
  const std::string options = read_file(folder / "r\xe9/options.toml");
  EXPECT_THAT(options, HasSubstr("/d\\xe9"));
  run("train r\xe9/options.toml --out again --steps 2");  // its options are a recipe
  run(train + "--steps 3 --resume");
  run("sample r\xe9 --n 4 --out s\xe9.png");
  EXPECT_TRUE(std::filesystem::exists(folder / "s\xe9.png"));
}

}  // namespace
}  // namespace saddle
