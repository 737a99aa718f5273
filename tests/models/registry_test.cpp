// The registry of systems.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/error.h"
#include "models/system.h"

namespace saddle {
namespace {

SystemEntry entry(const std::string& name, const std::string& file) {
  return {.name = name, .about = "", .file = file, .open = {}};
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

}  // namespace
}  // namespace saddle
