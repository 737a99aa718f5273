// How the text of others is shown.
#include "dist/utf8.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "dist/log.h"

namespace saddle {
namespace {

TEST(Utf8, ReadsWhatIsWellFormed) {
  const std::string text = "a\u00e9\u20ac\U0001F600z";
  std::string again;
  for (const auto each : code_points(text)) again += each;
  EXPECT_EQ(again, text);
  EXPECT_EQ(code_points(text).size(), 5);
  size_t at = 6;
  EXPECT_EQ(next_code_point(text, at), char32_t{0x1F600});
  EXPECT_EQ(at, 10);
}

TEST(Utf8, RefusesWhatIsMalformed) {
  for (const char* bad : {"\x80", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF8",
                          "\xC3", "\xE2\x82", "\xC3("}) {
    size_t at = 0;
    EXPECT_EQ(next_code_point(bad, at), kMalformed) << bad;
    EXPECT_EQ(at, 0);
  }
}

TEST(Utf8, EscapesWhatItIsNot) {
  for (const std::string bytes : {"plain/ünï", "caf\xe9", "\xff\xfe", "C:\\xa0", "\\x5c\\", "\\\\x\xe9"}) {
    EXPECT_TRUE(is_utf8(escape_bytes(bytes))) << bytes;
    EXPECT_EQ(unescape_bytes(escape_bytes(bytes)), bytes);
  }
  EXPECT_EQ(escape_bytes("caf\xe9"), "caf\\xe9");
  EXPECT_EQ(escape_bytes("a\\b/ü"), "a\\b/ü");
}

TEST(Printable, WritesOutWhatActsOnATerminal) {
  EXPECT_EQ(printable("cat"), "cat");
  EXPECT_EQ(printable("\u00e9\u20ac\U0001F600 \u732b"), "\u00e9\u20ac\U0001F600 \u732b");
  EXPECT_EQ(printable("\x1b[2J\x1b]0;x\x07"), "\\x1b[2J\\x1b]0;x\\x07");
  EXPECT_EQ(printable("a\nb\r\tc\x7f"), "a\\x0ab\\x0d\\x09c\\x7f");
  EXPECT_EQ(printable("\u009b2J"), "\\u009b2J");  // C1: the same in one character
  EXPECT_EQ(printable("\u202egnp.exe\u2066\u200f"),
            "\\u202egnp.exe\\u2066\\u200f");                   // would be read as exe.png
  EXPECT_EQ(printable("a\u2028b\u0085"), "a\\u2028b\\u0085");  // other ends of lines
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

TEST(Printable, KeepsWhatIsAroundBytesThatAreNoUtf8) {
  EXPECT_EQ(printable("gr\xfc\xdf.png: damaged"), "gr\\xfc\\xdf.png: damaged");
  EXPECT_EQ(printable("\xc2"), "\\xc2");
  EXPECT_EQ(printable("\x9b"
                      "2J"),
            "\\x9b"
            "2J");  // C1 of terminals that take bytes
}

TEST(Printable, IsTheSameTwice) {
  const std::string once = printable("\x1b\xff\u202e\\x1b");
  EXPECT_EQ(printable(once), once);
}

TEST(Printable, LinesOfOurOwnListsStay) {
  EXPECT_EQ(printable_lines("one of\n  a: x\n  b: y"), "one of\n  a: x\n  b: y");
  EXPECT_EQ(printable_lines("x\n12:00:00 all is well"), "x\\x0a12:00:00 all is well");
  EXPECT_EQ(printable_lines("x\nsaddle: y\n"), "x\\x0asaddle: y\\x0a");
  EXPECT_EQ(printable_lines("x\r  y"), "x\\x0d  y");
}

TEST(Printable, JsonStaysTheSameJson) {
  const nlohmann::json value{{"name", "a\nb\x1b\x7f\u009b\u202e\u00e9"}};
  const std::string shown = printable_json(value.dump(1));
  EXPECT_EQ(nlohmann::json::parse(shown), value);
  for (const char* bad : {"\x1b", "\x7f", "\u009b", "\u202e"}) EXPECT_EQ(shown.find(bad), std::string::npos);
  EXPECT_NE(shown.find("\u00e9"), std::string::npos);
}

TEST(Printable, SoDoesTheLog) {
  testing::internal::CaptureStderr();
  log::warn("{}: damaged", "a\n12:00:00 [rank 0] sound\x1b[1A.png");
  const std::string shown = testing::internal::GetCapturedStderr();
  EXPECT_THAT(shown, testing::HasSubstr("a\\x0a12:00:00 [rank 0] sound\\x1b[1A.png: damaged\n"));
  EXPECT_EQ(std::count(shown.begin(), shown.end(), '\n'), 1);
}

}  // namespace
}  // namespace saddle
