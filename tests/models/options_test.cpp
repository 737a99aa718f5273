#include "models/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/error.h"

namespace saddle {
namespace {

using testing::HasSubstr;

struct Values {
  int64_t batch = 64;
  double lr = 2e-4;
  bool on = false;
  std::string loss = "hinge";
};

OptionTable table_of(Values& v) {
  OptionTable table;
  table.add("batch", v.batch, "samples a step", {1, 4096, "samples"});
  table.add("g.lr", v.lr, "learning rate", {0, 1});
  table.add("on", v.on, "a switch");
  table.add("loss", v.loss, "pair of losses", {"hinge", "lsgan"});
  return table;
}

std::string refusal(const std::string& key, const std::string& text) {
  Values v;
  OptionTable table = table_of(v);
  try {
    table.set(key, text, "--set");
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, Exit::usage);
    return e.what();
  }
  return "accepted";
}

TEST(Options, TextIsParsedByTheKindOfTheValue) {
  Values v;
  OptionTable table = table_of(v);
  table.set("batch", "128", "--set");
  table.set("g.lr", "1e-3", "--set");
  table.set("on", "true", "--set");
  table.set("loss", "lsgan", "--set");
  EXPECT_EQ(v.batch, 128);
  EXPECT_EQ(v.lr, 1e-3);
  EXPECT_TRUE(v.on);
  EXPECT_EQ(v.loss, "lsgan");
}

TEST(Options, ARefusalSaysWhatIsExpectedAndTheNearestKey) {
  EXPECT_THAT(refusal("btach", "3"), HasSubstr("did you mean 'batch'"));
  EXPECT_THAT(refusal("batch", "3.5"), HasSubstr("whole number"));
  EXPECT_THAT(refusal("batch", "0"), HasSubstr("1 to 4096"));
  EXPECT_THAT(refusal("batch", "64x"), HasSubstr("64x"));
  EXPECT_THAT(refusal("g.lr", "nan"), HasSubstr("g.lr"));
  EXPECT_THAT(refusal("on", "yes"), HasSubstr("true or false"));
  EXPECT_THAT(refusal("loss", "hing"), HasSubstr("did you mean 'hinge'"));
}

TEST(Options, BoundsThatTellNothingAreNotShown) {
  int64_t seed = 0;
  OptionTable table;
  table.add("seed", seed, "of all that is random", {0, 1e15});
  EXPECT_EQ(table.help(), fmt::format("{:<40} # of all that is random\n", "seed = 0"));
  try {
    table.set("seed", "-1", "--set");
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "--set: 'seed' is at least 0, found -1");
  }
}

TEST(Options, AreShownByGroupWithTheirDefaultWhereTheyDiffer) {
  Values v;
  OptionTable table;
  {
    const OptionTable::Group group(table, "training");
    table.add("batch", v.batch, "samples", {1, 4096, "samples"});
  }
  table.add("on", v.on, "a switch");
  v.batch = 7;
  EXPECT_THAT(table.help(), testing::MatchesRegex("# training\nbatch = 7 +# \\* default 64: samples "
                                                  "\\(samples, 1 to 4096\\)\non = false +# a switch\n"));
}

TEST(Options, OnlyAWordThatIsNearIsMeant) {
  const std::vector<std::string> known = {"batch", "steps", "seed"};
  EXPECT_EQ(nearest("btach", known), "batch");
  EXPECT_EQ(nearest("ste", known), "steps");
  EXPECT_EQ(nearest("augment", known), "");
}

TEST(Options, WhatIsPrintedReadsBackAsTheSame) {
  Values v, again;
  OptionTable table = table_of(v), other = table_of(again);
  v = {.batch = 7, .lr = 1.0 / 3, .on = true, .loss = "lsgan"};
  for (const auto& [key, text] : parse_toml(table.toml(), "test")) other.set(key, text, "test");
  EXPECT_EQ(again.batch, v.batch);
  EXPECT_EQ(again.lr, v.lr);
  EXPECT_EQ(again.on, v.on);
  EXPECT_EQ(again.loss, v.loss);
}

TEST(Options, AKeyIsDescribedOnce) {
  OptionTable table;
  double a = 1, b = 2;
  table.add("clip", a, "of gradients");
  EXPECT_THROW(table.add("clip", b, "of weights"), Error);
}

TEST(Options, TomlTablesBecomeDottedKeys) {
  const auto pairs = parse_toml("a = 1\n[g]\nlr = 2e-4\n[g.inner]\non = true\n", "test");
  EXPECT_THAT(pairs, testing::UnorderedElementsAre(testing::Pair("a", "1"), testing::Pair("g.lr", "0.0002"),
                                                   testing::Pair("g.inner.on", "true")));
}

TEST(Options, AKeyMayBeginAsAnotherOne) {
  using testing::Pair;
  for (const char* text :
       {"r1 = 10\nr1.every = 16\n", "r1.every=16\nr1=10", "\tr1.every = 16 # a.b = 1\nr1 = 10\n"})
    EXPECT_THAT(parse_toml(text, "test"), testing::ElementsAre(Pair("r1", "10"), Pair("r1.every", "16")))
        << text;
  EXPECT_THAT(parse_toml("a = \"\"\"\nr1.every = 16\n\"\"\"", "test"),
              testing::ElementsAre(Pair("a", "r1.every = 16\n")));
  EXPECT_THAT(parse_toml("[d]\nr1.every = 16\nr1 = 1\n", "test"),
              testing::ElementsAre(Pair("d.r1", "1"), Pair("d.r1.every", "16")));
  for (const char* text : {"r1.every = 1\nr1.every = 2\n", "r1.every = 1\n[r1]\nevery = 2\n"})
    EXPECT_THROW(parse_toml(text, "test"), Error) << text;
}

TEST(Options, BrokenTomlNamesItsLine) {
  try {
    parse_toml("a = 1\nb = = 2\n", "recipe 'x'");
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("recipe 'x' line 2"));
  }
}

// toml++ 3.3 would go down its stack for each of them, and does not come back.
TEST(Toml, NestedTooDeeplyIsRefused) {
  const auto dots = [](size_t levels) {
    std::string text = "a";
    for (size_t i = 1; i < levels; ++i) text += ".a";
    return text;
  };
  const auto said = [](const std::string& document) -> std::string {
    try {
      parse_toml(document, "x");
    } catch (const Error& e) {
      EXPECT_EQ(e.kind, Exit::usage);
      return e.what();
    }
    return "";
  };
  const std::string many = dots(5000);
  EXPECT_EQ(said(dots(60) + " = 1"), "");
  EXPECT_EQ(said("[" + dots(60) + "]\nb = 1"), "");
  EXPECT_EQ(said("a = '" + many + "'\nb = \"\\\"" + many + "\"\nc = '''\n" + many + "'''\n# " + many), "")
      << "texts and comments are none";
  for (const std::string& deep :
       {dots(1'000'000) + " = 1", "[" + dots(1'000'000) + "]", "a = {" + dots(1'000'000) + " = 1}",
        "a = " + std::string(200'000, '['), "a = [\"\"\"b\"\"\"\", {" + many + " = 1}]",
        "a = ['''b'''', {" + many + " = 1}]", "a = \"b\", " + many + " = 1"})
    EXPECT_THAT(said("b = 1\n" + deep), HasSubstr("x line 2: nested too deeply")) << deep.substr(0, 30);
}

TEST(Options, TextsAreNoLongerThanAnythingSensible) {
  EXPECT_EQ(refusal("loss", "hinge"), "accepted");
  EXPECT_THAT(refusal("loss", std::string(1 << 20, 'x')), HasSubstr("at most 16384 bytes, found 1048576"));
  EXPECT_THAT(refusal(std::string(1 << 20, 'x'), "1"), HasSubstr("unknown key"));
}

}  // namespace
}  // namespace saddle
