#include "data/pack/classes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/pack/pack.h"
#include "data/view/picture.h"
#include "tests/data/archive.h"
#include "tests/data/folder.h"

namespace saddle {
namespace {

using test::error_of;
using test::Folder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string picture() {
  return encode_png(torch::zeros({3, 2, 2}, torch::kByte));
}

std::vector<int64_t> labels(const Source& source) {
  std::vector<int64_t> out;
  for (int64_t i = 0; i < source.count; ++i) out.push_back(source.label(i));
  return out;
}

TEST(Classes, AnEmptyFolderKeepsItsNumber) {
  const Folder folder;
  test::Contents contents;
  for (const char* name : {"ant/1.png", "cow/2.png"}) {
    test::put(folder / ("set/" + std::string(name)), picture());
    contents.emplace_back(name, picture());
  }
  std::filesystem::create_directories(folder / "set/bee");
  contents.emplace_back("bee/3.heic", "x");
  test::put_zip(folder / "set.zip", contents);
  for (const char* path : {"set", "set.zip"}) {
    const Source source = open_source({.source = folder / path});
    EXPECT_THAT(source.schema["label"].class_names, ElementsAre("ant", "bee", "cow")) << path;
    EXPECT_THAT(labels(source), ElementsAre(0, 2)) << path;
    EXPECT_THAT(source.notes, ElementsAre("1 of 3 classes have no sample and keep their numbers: 1 bee"))
        << path;
  }
}

TEST(Classes, AFileOfNamesFixesTheNumbersOfSeveralPacks) {
  const Folder folder;
  for (const char* name : {"train/cow/1.png", "train/ant/2.png", "test/bee/3.png"})
    test::put(folder / name, picture());
  test::put_zip(folder / "only.zip",
                {{"bee/3.png", picture()}});  // one folder, which is no mere wrapper then
  const std::string names = folder / "names.txt";
  test::put(names, "cow\r\nbee\r\nant\r\n\r\n");
  const Source train = open_source({.source = folder / "train", .classes = names});
  EXPECT_THAT(train.schema["label"].class_names, ElementsAre("cow", "bee", "ant"));
  EXPECT_THAT(labels(train), ElementsAre(2, 0));
  EXPECT_THAT(train.notes,
              ElementsAre(HasSubstr("1 of 3 classes have no sample and keep their numbers: 1 bee")));
  for (const char* path : {"test", "only.zip"}) {
    const Source test = open_source({.source = folder / path, .classes = names});
    EXPECT_EQ(test.schema, train.schema) << path;
    EXPECT_THAT(labels(test), ElementsAre(1)) << path;
  }
  test::put(names, "cow\n");
  EXPECT_THAT(error_of([&] { open_source({.source = folder / "train", .classes = names}); }),
              AllOf(HasSubstr("names.txt: lacks 1 of the 2 classes"), HasSubstr(": ant")));
  EXPECT_THAT(error_of([&] { open_source({.source = folder / "test/bee", .classes = names}); }),
              HasSubstr("no sub-folders"));
}

TEST(Classes, AFileOfNamesNamesNumbersToo) {
  const Folder folder;
  for (const char* name : {"0.png", "1.png"}) test::put(folder / ("set/" + std::string(name)), picture());
  test::put(folder / "set/dataset.json", R"({"labels": [["0.png", 1], ["1.png", 0]]})");
  test::put(folder / "names", "no\nyes\nmaybe");
  const Source source = open_source({.source = folder / "set", .classes = folder / "names"});
  EXPECT_EQ(source.schema["label"].classes, 3);
  EXPECT_THAT(source.schema["label"].class_names, ElementsAre("no", "yes", "maybe"));
  test::put(folder / "names", "no");
  EXPECT_THAT(error_of([&] { open_source({.source = folder / "set", .classes = folder / "names"}); }),
              HasSubstr("has 1 names, but the labels of"));
  test::put(folder / "set/dataset.json", R"({"labels": null})");
  EXPECT_THAT(error_of([&] { open_source({.source = folder / "set", .classes = folder / "names"}); }),
              HasSubstr("has no labels"));
}

TEST(Classes, AreNoPartsOfASet) {
  const Folder folder;
  test::Contents contents;
  const auto add = [&](const std::string& set, const std::vector<const char*>& names) {
    for (const char* name : names) test::put(folder / (set + "/" + name), picture());
  };
  const auto error = [&](const std::string& set, const std::string& as = "") {
    return error_of([&] { open_source({.source = folder / set, .as = as}); });
  };
  add("deep", {"train/a/1.png", "train/b/2.png", "val/a/3.png", "val/b/4.png"});
  EXPECT_THAT(error("deep"), AllOf(HasSubstr("found parts of a set: train, val"), HasSubstr("deep/train, "),
                                   HasSubstr("deep/val"), HasSubstr("--classes FILE")));
  EXPECT_EQ(error("deep", "pictures"), "");
  add("flat", {"Testing/1.png", "TRAINING/2.png"});
  EXPECT_THAT(error("flat"), HasSubstr("parts of a set: TRAINING, Testing"));
  add("one", {"train/a/1.png", "train/b/2.png"});
  EXPECT_THAT(error("one"), HasSubstr("parts of a set: train;"));
  add("other", {"train/1.png", "car/2.png"});
  EXPECT_EQ(error("other"), "");
  for (const char* name : {"train/a/1.png", "test/a/2.png"}) contents.emplace_back(name, picture());
  test::put_zip(folder / "set.zip", contents);
  EXPECT_THAT(error("set.zip"), HasSubstr("unpack it and pack each"));
}

TEST(Classes, OfNamesThatAreNoUtf8StayApart) {
  const Folder folder;
  for (const char* name : {"a\xff/1.png", "a\xfe/2.png"}) test::put(folder / name, picture());
  EXPECT_THAT(open_source({.source = folder.path()}).schema["label"].class_names,
              ElementsAre("a\\xfe", "a\\xff"));
}

TEST(Classes, AreOfOneLevel) {
  const Folder folder;
  for (const char* name : {"a/1/1.png", "a/2/2.png", "b/3.png", "@eaDir/a/4.png", "a/@eaDir/5.png"})
    test::put(folder / name, picture());
  const Source source = open_source({.source = folder.path()});
  EXPECT_THAT(source.schema["label"].class_names, ElementsAre("a", "b"));
  EXPECT_EQ(source.count, 3);
  EXPECT_THAT(source.notes, ElementsAre("2 folders below the classes are no classes of their own: a/1, a/2"));
  EXPECT_EQ(source.left_out.begin()->first.first, "@eaDir of Synology");
}

TEST(Classes, AFileOfNamesIsReadOrRefusedByLine) {
  const Folder folder;
  const auto read = [&](const std::string& text) {
    test::put(folder / "n", text);
    return read_class_names(folder / "n");
  };
  const auto error = [&](const std::string& text) { return error_of([&] { read(text); }); };
  EXPECT_THAT(read("\xef\xbb\xbfone\ntwo words"), ElementsAre("one", "two words"));
  EXPECT_THAT(read("one\rtwo\r"), ElementsAre("one", "two"));
  EXPECT_THAT(error("a\n\nb\n"), HasSubstr("line 2 is empty"));
  EXPECT_THAT(error("a\nb\na\n"), HasSubstr("lines 1 and 3 are both a"));
  EXPECT_THAT(error("\n\n"), HasSubstr("found none"));
  EXPECT_THAT(error("\xff\xfe"
                    "a"),
              HasSubstr("UTF-16"));
  EXPECT_THAT(error_of([&] { read_class_names(folder / "none"); }), HasSubstr("/none"));
}

TEST(Classes, ManyWithoutASampleAreShortened) {
  std::vector<std::string> used{"c000"}, unused, notes;
  for (int i = 1; i < 900; ++i) unused.push_back(fmt::format("c{:03}", i));
  EXPECT_EQ(class_names({.source = "x"}, used, notes, unused).size(), 900U);
  EXPECT_THAT(notes,
              ElementsAre(AllOf(HasSubstr("899 of 900"), HasSubstr("1 c001"), HasSubstr("and 894 more"))));
}

}  // namespace
}  // namespace saddle
