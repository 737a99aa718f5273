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
  explicit Table(const std::string& text, const std::string& name = "a.csv") : path(folder / name) {
    test::put(path, text);
    source = open(path);
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
  const Table numbers("x,Class,y\n1,2,3\n4,0.0,6\n");
  EXPECT_EQ(describe(numbers.source.schema), "x float32 [2], label int64 [] of 3 classes");
  EXPECT_TRUE(same(all(numbers.source, "label"), torch::tensor({2, 0})));
  const Table signs("x,target\n1,1\n4,-1\n");
  EXPECT_THAT(signs.source.schema["label"].class_names, ElementsAre("-1", "1"));
  EXPECT_TRUE(same(all(signs.source, "label"), torch::tensor({1, 0})));
  const Table fractions("x,target\n1,1\n4,0.5\n");
  EXPECT_EQ(describe(fractions.source.schema), "x float32 [2]");
}

TEST(PackCsv, TakesLatin1ForTexts) {
  EXPECT_THAT(Table("1,caf\xe9\n2,tea\n").source.schema["label"].class_names,
              ElementsAre("caf\xc3\xa9", "tea"));
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
  EXPECT_THAT(message("1,cat\n3,\n"), HasSubstr("line 2: expected a class in column 2"));
  EXPECT_THAT(message("1,\"2\n3,4\n"), HasSubstr("line 1: a quoted cell does not end"));
  EXPECT_THAT(message(""), HasSubstr("found none"));
  EXPECT_THAT(message("a\nb\n"), HasSubstr("found only classes"));
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
