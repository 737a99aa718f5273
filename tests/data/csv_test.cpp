#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/arrays.h"
#include "tests/data/folder.h"

namespace saddle {
namespace {

using test::all;
using test::error_of;
using test::Folder;
using test::open;
using test::same;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

struct Table {
  Folder folder;
  std::string path;
  Source source;
  explicit Table(const std::string& text, const std::string& name = "a.csv", PackRequest request = {})
      : path(folder / name) {
    test::put(path, text);
    request.source = path;
    source = open_source(request);
  }
};

TEST(PackCsv, ReadsNumbersWithAndWithoutAHeader) {
  for (const char* text : {"1,2.5,-3e1\n4,5,+6\n", "a,b,c\n1,2.5,-3e1\n4,5,+6",
                           "\xef\xbb\xbf"
                           "1;2.5;-3e1\r\n\r\n4;5;6\r\n",
                           "a\tb\tc\n1\t 2.5 \t-3e1\n4\t5\t6\n"}) {
    const Table table(text);
    EXPECT_EQ(describe(table.source.schema), "x float32 [3]");
    EXPECT_TRUE(same(all(table.source, "x"), torch::tensor({1.0, 2.5, -30.0, 4.0, 5.0, 6.0}).reshape({2, 3})))
        << text;
    EXPECT_EQ(table.source.sample(0)["x"][0][0].item<float>(), 1);  // back again
  }
}

TEST(PackCsv, TakesTheLastColumnOfTextsForClasses) {
  const Table table("5.1,setosa,3.5\n4.9,\"virgin\"\"ica, \n2\",3\n7,setosa,3.2\n");
  EXPECT_EQ(describe(table.source.schema), "x float32 [2], label int64 [] of 2 classes");
  EXPECT_THAT(table.source.schema["label"].class_names, ElementsAre("setosa", "virgin\"ica, \n2"));
  EXPECT_TRUE(same(all(table.source, "label"), torch::tensor({0, 1, 0})));
  EXPECT_TRUE(same(all(table.source, "x")[2], torch::tensor({7.0f, 3.2f})));
  EXPECT_EQ(table.source.label(1), 1);
}

TEST(PackCsv, TakesANamedColumnForClasses) {
  const Table numbers("x,Class,y\n1,2,3\n4,0.0,6\n7,2,9\n");
  EXPECT_EQ(describe(numbers.source.schema), "x float32 [2], label int64 [] of 3 classes");
  EXPECT_TRUE(same(all(numbers.source, "label"), torch::tensor({2, 0, 2})));
  const Table signs("x,target\n1,1\n4,-1\n5,1\n");
  EXPECT_THAT(signs.source.schema["label"].class_names, ElementsAre("-1", "1"));
  EXPECT_TRUE(same(all(signs.source, "label"), torch::tensor({1, 0, 1})));
  const Table fractions("x,target\n1,1\n4,0.5\n");
  EXPECT_EQ(describe(fractions.source.schema), "x float32 [2]");
}

TEST(PackCsv, NamesTheLineThatIsDamaged) {
  const auto message = [](const std::string& text) {
    return error_of([&] {
      const Table table(text);
      all(table.source, "x");
    });
  };
  EXPECT_THAT(message("a,b\n1,2\n\n3,\n"),
              AllOf(HasSubstr("a.csv: line 4, column b"), HasSubstr("found \"\"")));
  EXPECT_THAT(message("1,2\n3,4x\n"), HasSubstr("line 2, column 2: expected a number, found \"4x\""));
  EXPECT_THAT(message("1,2\n3,1e39\n"), HasSubstr("line 2, column 2"));
  EXPECT_THAT(message("1,2\n3,nan\n"), HasSubstr("line 2, column 2"));
  EXPECT_THAT(message("1,2\n3\n"), HasSubstr("line 2: expected 2 cells, found 1"));
  EXPECT_THAT(message("1,2\n3,4,5\n"), HasSubstr("line 2: expected 2 cells, found 3"));
  EXPECT_THAT(message("1,cat\n3,\n"), HasSubstr("line 2, column 2: expected a class"));
  EXPECT_THAT(message("1,\"2\n3,4\n"), HasSubstr("line 1: a quoted cell does not end"));
  EXPECT_THAT(message(""), HasSubstr("found none"));
  EXPECT_THAT(message("a\nb\n"), HasSubstr("found only classes"));
}

// The message of opening a table and reading all of it.
std::string refusal(const std::string& text, const PackRequest& request = {},
                    const std::string& name = "a.csv") {
  return error_of([&] {
    const Table table(text, name, request);
    all(table.source, "x");
  });
}

TEST(PackCsv, RefusesWhatCanBeReadInTwoWays) {
  const std::string text = "1,5;2,5\n3,5;4,25\n";
  EXPECT_THAT(
      refusal(text),
      AllOf(HasSubstr("line 2"), HasSubstr("--separator comma --decimal point if its cells are 3 | 5;4 | 25"),
            HasSubstr("--separator semicolon --decimal comma if they are 3,5 | 4,25")));
  EXPECT_THAT(refusal("1,5\t2,5\n3,5\t4,5\n"), HasSubstr("--separator tab --decimal comma"));
  EXPECT_THAT(refusal("1,5|2,5\n3,5|4,5\n"), HasSubstr("--separator '|'"));
  const auto values = torch::tensor({1.5, 2.5, 3.5, 4.25}).reshape({2, 2});
  for (const PackRequest& request : {PackRequest{.source = "", .separator = "semicolon"},
                                     PackRequest{.source = "", .separator = ";", .decimal = "comma"},
                                     PackRequest{.source = "", .decimal = "comma"}})
    EXPECT_TRUE(same(all(Table(text, "a.csv", request).source, "x"), values));
  EXPECT_TRUE(same(all(Table("1,5\t2,5\n3,5\t4,25\n", "a.tsv").source, "x"), values));  // as its name says
  EXPECT_TRUE(same(all(Table("a;b\n1,5;2,5\n3,5;4,25\n").source, "x"), values));        // its header tells
  EXPECT_TRUE(same(all(Table("\"1,5\",\"2,5\"\n\"3,5\",\"4,25\"\n", "a.csv",
                             {.source = "", .separator = "comma", .decimal = "comma"})
                           .source,
                       "x"),
                   values));
  EXPECT_THAT(refusal("1,2\n", {.source = "", .separator = "colon"}), HasSubstr("--separator: expected"));
  EXPECT_THAT(refusal("1,2\n", {.source = "", .decimal = "dot"}), HasSubstr("--decimal: expected"));
}

TEST(PackCsv, ReadsNoSeparatorOfThousandsAsADecimalMark) {
  EXPECT_THAT(refusal("a;b\n1,234;5\n12,345;6\n"), HasSubstr("1,234 can be 1.234 or 1234"));
  EXPECT_EQ(refusal("a;b\n0,234;5\n12,345;6\n"), "");  // no number begins so
  EXPECT_THAT(refusal("a,b\n\"1,234\",5\n\"2,345\",6\n"),
              AllOf(HasSubstr("line 2, column a"), HasSubstr("found \"1,234\""), HasSubstr("thousands")));
  EXPECT_THAT(refusal("a,b\n1 234,5\n1 234,6\n"), HasSubstr("found \"1 234\""));
  EXPECT_THAT(refusal("5,12%\n6,12%\n7,13%\n"), HasSubstr("found \"12%\""));
}

TEST(PackCsv, SaysWhichFlagReadsIt) {
  EXPECT_THAT(refusal("a b\n1 2\n3 4\n"), HasSubstr("pass --separator space"));
  EXPECT_THAT(refusal("v\n1,5\n2,5\n"), HasSubstr("pass --decimal comma"));
  EXPECT_EQ(refusal("v\n1,5\n2,5\n", {.source = "", .decimal = "comma"}), "");
  EXPECT_EQ(refusal("1\t2\n3\t4\n", {.source = "", .separator = "\\t"}), "");
}

TEST(PackCsv, TakesNoOtherCodingForUtf8) {
  EXPECT_THAT(Table("1,caf\xc3\xa9\n2,tea\n3,tea\n").source.schema["label"].class_names,
              ElementsAre("caf\xc3\xa9", "tea"));
  EXPECT_THAT(
      refusal("1,tea\n2,caf\xe9\n3,tea\n"),
      AllOf(HasSubstr("a.csv: line 2: expected UTF-8, found the byte e9"), HasSubstr("iconv -f LATIN1")));
  EXPECT_THAT(refusal("\xfc,b\n1,2\n3,4\n"), HasSubstr("line 1: expected UTF-8"));
}

TEST(PackCsv, SaysWhatItsFirstRowIsTakenFor) {
  EXPECT_THAT(Table("a,b,kind\n1,2,x\n3,4,y\n5,6,y\n").source.notes,
              ElementsAre("header: a, b, kind; classes: kind"));
  EXPECT_THAT(Table("2001,2002,2003\n1.5,2.5,3.5\n").source.notes,
              ElementsAre("no header: the first row, 2001 | 2002 | 2003, is a sample"));
  EXPECT_THAT(Table("x,label\n1,0.5\n2,1.7\n").source.notes,
              ElementsAre(AllOf(HasSubstr("column label"), HasSubstr("0.5"), HasSubstr("no class")),
                          "header: x, label"));
}

TEST(PackCsv, LeavesOutTheIndexOfPandas) {
  for (const char* text :
       {",x,y\n0,1.5,2\n1,3,4\n", ",0,1\n0,1.5,2\n1,3,4\n", "Unnamed: 0,x,y\n0,1.5,2\n1,3,4\n",
        "\"\",\"x\",\"y\"\n\"ann\",1.5,2\n\"bob\",3,4\n"}) {
    const Table table(text);
    EXPECT_TRUE(same(all(table.source, "x"), torch::tensor({1.5, 2.0, 3.0, 4.0}).reshape({2, 2}))) << text;
    EXPECT_THAT(table.source.notes, testing::Contains(HasSubstr("left out: column 1: it has no name")))
        << text;
  }
}

TEST(PackCsv, TakesPointsForThousandsWhereSemicolonsSeparate) {
  EXPECT_THAT(refusal("1.234;2.000\n2.345;5\n"),
              AllOf(HasSubstr("line 1: 1.234 can be 1.234 or 1234"), HasSubstr("--decimal point")));
  EXPECT_EQ(refusal("1.234;2.000\n2.345;5\n", {.source = "", .decimal = "point"}), "");
  EXPECT_EQ(refusal("1.234;2.05\n2.345;5\n"), "");  // no thousands have two digits
  EXPECT_EQ(refusal("1.234,2.000\n2.345,5\n"), "");
}

TEST(PackCsv, BlamesWhatIsWrong) {
  EXPECT_THAT(
      refusal("a,b\n\"1,234\",\"5,678\"\n\"2,345\",\"6,789\"\n"),
      AllOf(HasSubstr("line 2, column a: expected numbers, found \"1,234\""), HasSubstr("thousands")));
  EXPECT_THAT(refusal("a,b,c\n"), HasSubstr("found only a header: a, b, c"));
  EXPECT_THAT(refusal("a;b\n50%;1\n60%;2\n"),
              HasSubstr("found \"50%\"; write it without the sign of percent"));
  EXPECT_THAT(refusal("a;b\n1'234;1\n1'235;2\n"), HasSubstr("\"1'234\"; write it without separators"));
  EXPECT_THAT(refusal("a;b\n1.234,5;1\n1.235,5;2\n", {.source = "", .decimal = "comma"}),
              HasSubstr("\"1.234,5\"; write it without separators of thousands"));
  EXPECT_THAT(refusal("# made by hand\n1,2\n3,4\n"), HasSubstr("the first row begins with #"));
}

TEST(PackCsv, ReadsExcelsWordOnTheSeparator) {
  for (const char* text : {"sep=;\na;b\n1,5;2\n3;4\n", "SEP=|\r\n1.5|2\r\n3|4\r\n"})
    EXPECT_TRUE(same(all(Table(text).source, "x"), torch::tensor({1.5, 2.0, 3.0, 4.0}).reshape({2, 2})))
        << text;
  EXPECT_THAT(refusal("sep=;\na;b\n1;2\n3;x\n"), HasSubstr("line 4, column b"));
}

TEST(PackCsv, SeparatesBySpaces) {
  const Table table("  1.5   2\n3 4  \n", "a.csv", {.source = "", .separator = "space"});
  EXPECT_TRUE(same(all(table.source, "x"), torch::tensor({1.5, 2.0, 3.0, 4.0}).reshape({2, 2})));
}

TEST(PackCsv, TakesNoIdsForClasses) {
  EXPECT_THAT(refusal("name,x\nann,1\nbob,2\ncarl,3\n"),
              AllOf(HasSubstr("column name holds as many texts as rows"), HasSubstr("\"ann\""),
                    HasSubstr("call it label")));
  EXPECT_EQ(refusal("label,x\nann,1\nbob,2\ncarl,3\n"), "");
  EXPECT_THAT(
      refusal("x,target\n1,17\n2,23\n3,5\n"),
      AllOf(HasSubstr("column target holds as many numbers as rows"), HasSubstr("call it otherwise")));
  EXPECT_THAT(refusal("name,kind,x\nann,a,1\nbob,b,2\ncarl,b,3\n"),
              AllOf(HasSubstr("line 2, column name: expected numbers, found \"ann\""),
                    HasSubstr("remove the column")));
}

TEST(PackCsv, NumbersClassesAsAFileSays) {
  const Folder folder;
  test::put(folder / "names", "zebra\ncat\nant\n");
  const Table table("1,cat\n2,zebra\n", "a.csv", {.source = "", .classes = folder / "names"});
  EXPECT_THAT(table.source.schema["label"].class_names, ElementsAre("zebra", "cat", "ant"));
  EXPECT_TRUE(same(all(table.source, "label"), torch::tensor({1, 0})));
  EXPECT_THAT(refusal("1,cat\n2,dog\n", {.source = "", .classes = folder / "names"}), HasSubstr("dog"));
  const Table numbers("x,label\n1,1\n2,0\n3,0\n", "a.csv", {.source = "", .classes = folder / "names"});
  EXPECT_EQ(numbers.source.schema["label"].classes, 3);
}

TEST(PackCsv, NamesMissingNumbers) {
  for (const char* missing : {"", "nan", "NaN", "NA", "n/a", "null", "?", "-"}) {
    const std::string text = fmt::format("a,b\n1,2\n3,{}\n5,2\n", missing);
    EXPECT_THAT(refusal(text), AllOf(HasSubstr("line 3, column b"), HasSubstr("missing"))) << missing;
    EXPECT_THAT(refusal(fmt::format("a,class\n1,2\n3,{}\n5,2\n", missing)),
                AllOf(HasSubstr("line 3, column class: expected a class")))
        << missing;
    EXPECT_THAT(refusal(fmt::format("{},7\n1,2\n5,2\n", missing)), HasSubstr("line 1, column 1")) << missing;
  }
}

TEST(PackCsv, RefusesTwoColumnsOfOneName) {
  EXPECT_THAT(refusal("a,label,label\n1,7,8\n2,7,8\n"),
              AllOf(HasSubstr("columns 2 and 3 are both called label"), HasSubstr("\"7\" and \"8\"")));
  EXPECT_EQ(refusal(",,b\n1,2,3\n4,5,6\n"), "");  // without a name
}

std::string utf16(const std::string& text, bool big, bool mark) {
  std::string out = !mark ? "" : big ? "\xfe\xff" : "\xff\xfe";
  for (const char c : text) out += big ? std::string{'\0', c} : std::string{c, '\0'};
  return out;
}

TEST(PackCsv, ReadsUtf16AndEveryLineEnd) {
  const std::string text = "a,b\r1,2.5\r\r3,4\r";
  const auto values = torch::tensor({1.0, 2.5, 3.0, 4.0}).reshape({2, 2});
  EXPECT_TRUE(same(all(Table(text).source, "x"), values));
  for (const bool big : {false, true})
    for (const bool mark : {false, true})
      EXPECT_TRUE(same(all(Table(utf16(text, big, mark)).source, "x"), values)) << big << mark;
  EXPECT_THAT(refusal(std::string("\xff\xfe\0\0a\0\0\0", 8)), HasSubstr("UTF-32"));
  EXPECT_THAT(refusal(utf16(text, false, true) + "x"), HasSubstr("cut off in mid-character"));
  EXPECT_THAT(refusal(utf16(text, false, true) + std::string("\0\xdc", 2)), HasSubstr("found DC00"));
  EXPECT_THAT(refusal(std::string("a,b\n1,2\n3,\0 4\n", 14)), HasSubstr("byte 11: a NUL byte"));
}

TEST(PackCsv, SeeksInLongTables) {
  const Folder folder;
  std::string text;
  for (int i = 0; i < 200000; ++i) text += fmt::format("{},{},c{}\n", i, i * 2, i % 7);
  test::put(folder / "a.csv", text);
  const Source source = open(folder / "a.csv");
  EXPECT_EQ(source.count, 200000);
  EXPECT_EQ(source.schema["label"].classes, 7);
  EXPECT_EQ(source.sample(199999)["x"][0][1].item<float>(), 399998);
}

}  // namespace
}  // namespace saddle
