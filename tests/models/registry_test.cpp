// The registry of systems.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/error.h"
#include "dist/file.h"
#include "models/system.h"

namespace saddle {
namespace {

SystemEntry entry(const std::string& name, const std::string& file) {
  return {.name = name, .about = "", .paper = "", .modality = "", .file = file};
}

TEST(Registry, TwoSystemsOfOneNameAreRefusedByTheirFiles) {
  EXPECT_NO_THROW(require_distinct({entry("a", "a.cpp"), entry("b", "b.cpp")}));
  try {
    require_distinct({entry("a", "a.cpp"), entry("b", "one.cpp"), entry("b", "other.cpp")});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, Exit::bug);
    EXPECT_THAT(e.what(), testing::AllOf(testing::HasSubstr("'b'"), testing::HasSubstr("one.cpp"),
                                         testing::HasSubstr("other.cpp")));
  }
}

// What the README shows is what systems_test compiles and trains.
TEST(Readme, ItsGanIsTheOneThatIsTested) {
  const std::string readme = read_file(SADDLE_SOURCE_DIR "/README.md"),
                    code = read_file(SADDLE_SOURCE_DIR "/tests/models/readme_gan.cpp");
  EXPECT_THAT(readme, testing::HasSubstr("```cpp\n" + code + "```"));
}

}  // namespace
}  // namespace saddle
