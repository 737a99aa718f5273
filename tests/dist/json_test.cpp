#include "dist/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/error.h"

namespace saddle {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

// What parsing says; every refusal is one of the data.
std::string error_of(const std::string& text) {
  try {
    parse_json(text, "a.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, Exit::data);
    return error.what();
  }
  return "";
}

TEST(Json, ReadsWhatTheLibraryReads) {
  for (const char* text :
       {R"({"a": [1, -2, 3.5, 1e300, "x\"y", true, null, {"b": {}}], "c": "ü"})", "3", "[]", " \"x\"\n",
        "[18446744073709551615, -9223372036854775808]", R"([{"a": 1}, {"a": 1}])"})
    EXPECT_EQ(parse_json(text, ""), json::parse(text)) << text;
  EXPECT_EQ(parse_json("\xef\xbb\xbf{\"a\": 1}", ""), json({{"a", 1}}));
}

TEST(Json, NamesLineAndColumnOfWhatIsMalformed) {
  EXPECT_THAT(error_of("{\"a\": 1,\n \"b\": [1, 2,]}"),
              HasSubstr("a.json: line 2, column 13: malformed JSON"));
  EXPECT_THAT(error_of("{\"a\": 1"), HasSubstr("line 1, column 8: "));
  EXPECT_THAT(error_of(""), HasSubstr("line 1, column 1: "));
  EXPECT_THAT(error_of("[1]\n[2]"), HasSubstr("line 2, column 1: "));
  EXPECT_THAT(error_of("[NaN]"), AllOf(HasSubstr("column 2"), HasSubstr("invalid literal")));
  EXPECT_THAT(error_of("[1,\n1e999]"), AllOf(HasSubstr("line 2, column 5: "), HasSubstr("1e999")));
  EXPECT_THAT(error_of("[1]x"), HasSubstr("column 4"));
}

TEST(Json, NamesBytesThatAreNoUtf8) {
  EXPECT_THAT(error_of("{\"a\":\n \"x\xff\"}"), AllOf(HasSubstr("line 2, column 4"), HasSubstr("UTF-8")));
  EXPECT_THAT(error_of("\xff\xfe{"), HasSubstr("UTF-16"));
}

TEST(Json, RefusesAKeyThatOccursTwiceWithBothValues) {
  EXPECT_THAT(error_of("{\"a\": 1,\n \"b\": 2, \"a\": \"x\"}"),
              HasSubstr("a.json: line 2, column 10: the key \"a\" occurs twice, as 1 and as \"x\""));
  EXPECT_THAT(error_of(R"([{"x": {"k": [1], "k": {"l": 2}}}])"), HasSubstr(R"(as [1] and as {"l":2})"));
  EXPECT_THAT(error_of(R"({"a": 1, "\u0061": 1})"),
              HasSubstr("as 1 and as 1"));  // the same, spelled otherwise
}

TEST(Json, RefusesTheSixtyFifthLevel) {
  const auto nested = [](size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  EXPECT_EQ(error_of(nested(64)), "");
  EXPECT_THAT(error_of(nested(65)), AllOf(HasSubstr("column 65"), HasSubstr("64")));
  EXPECT_THAT(error_of(std::string(1 << 22, '[')), HasSubstr("64"));
  EXPECT_EQ(error_of("\"" + std::string(100, '[') + "\""), "");
}

TEST(Json, RefusesMoreValuesThanMemoryIsMeantFor) {
  const auto list = [](size_t values, const std::string& each) {
    std::string text = "[" + each;
    for (size_t i = 1; i < values; ++i) text += "," + each;
    return text + "]";
  };
  EXPECT_EQ(error_of(list(1 << 19, "1")), "");
  EXPECT_THAT(error_of(list(1 << 20, "1")), HasSubstr("more than 1048576 values"));
  EXPECT_THAT(error_of(list(1 << 20, "[]")), HasSubstr("more than 1048576 values"));
  EXPECT_EQ(error_of(list((1 << 20) + 9, "12345678")), "") << "long ones may be more";
}

TEST(Json, GettersNameTheKeyAndWhatWasFound) {
  const json object =
      parse_json(R"({"count": 3, "name": "x", "big": 18446744073709551615, "list": [1]})", "");
  EXPECT_EQ(integer_at(object, "count"), 3);
  EXPECT_EQ(text_at(object, "name"), "x");
  EXPECT_EQ(list_at(object, "list").size(), 1U);
  const auto what = [](auto get) -> std::string {
    try {
      get();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(what([&] { integer_at(object, "name"); }), "name: expected an integer, found \"x\"");
  EXPECT_EQ(what([&] { integer_at(object, "big"); }), "big: expected an integer, found 18446744073709551615");
  EXPECT_EQ(what([&] { text_at(object, "count"); }), "count: expected a text, found 3");
  EXPECT_EQ(what([&] { list_at(object, "count"); }), "count: expected a list, found 3");
  EXPECT_EQ(what([&] {
              count_at(json{{"n", -1}}, "n");
            }),
            "n: expected an integer that is not negative, found -1");
  EXPECT_EQ(what([&] { number_at(object, "name"); }), "name: expected a number, found \"x\"");
  EXPECT_EQ(what([&] { boolean_at(object, "count"); }), "count: expected true or false, found 3");
  EXPECT_EQ(what([&] { object_at(object, "list"); }), "list: expected an object, found [1]");
  EXPECT_EQ(what([&] { integer_at(object, "none"); }), "expected the key \"none\", found none");
  EXPECT_EQ(what([&] { integer_at(json(3), "none"); }), "expected an object with \"none\", found 3");
  EXPECT_EQ(what([&] { integer(json(1e300)); }), "expected an integer, found 1e+300");
}

TEST(Json, ShowsValuesShortened) {
  EXPECT_EQ(excerpt(json::array({1, "a"})), "[1,\"a\"]");
  const std::string shown = excerpt(std::string(79, 'x') + "üüü");
  EXPECT_LE(shown.size(), 84U);
  EXPECT_EQ(json::parse("\"" + shown.substr(1) + "\"").get<std::string>(), shown.substr(1));  // UTF-8
}

}  // namespace
}  // namespace saddle
