#include "data/check/account.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/pack/pack.h"
#include "data/view/picture.h"
#include "tests/data/folder.h"

namespace saddle {
namespace {

using test::error_of;
using test::Folder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

void put_png(const std::string& path, int64_t channels = 3) {
  test::put(path, encode_png(torch::full({channels, 4, 4}, 9, torch::kByte)));
}

// Whatever people have beside their pictures.
struct Mixed {
  Mixed() {
    for (const char* name : {"cat/1.png", "cat/2.png", "dog/3.png"})
      put_png(folder / ("set/" + std::string(name)));
    put_png(folder / "set/dog/4.png", 1);
    for (const char* name :
         {"cat/5.heic", "cat/6.HEIC", "dog/notes.txt", "Thumbs.db", ".DS_Store", "cat/._1.png"})
      test::put(folder / ("set/" + std::string(name)), "x");
    std::filesystem::create_directories(folder / "set/emu");
    std::filesystem::create_symlink("gone", folder / "set/cat/link.png");
  }
  Folder folder;
};

TEST(Account, SaysWhoReadWhatAndWhatWasLeftOut) {
  const Mixed mixed;
  const Folder out;
  const Packed packed = pack({.source = mixed.folder / "set", .out = out.path()});
  EXPECT_EQ(packed.index.count, 4);
  EXPECT_THAT(class_rows(packed.index.schema),
              ElementsAre(Pair("classes", "3 of label: 0 cat, 1 dog, 2 emu")));
  const std::vector<AccountRow> rows = account_rows(read_index(out.path()));
  EXPECT_THAT(
      rows, ElementsAre(Pair("read as", "pictures: a folder of no other kind"),
                        Pair("left out", "1 file, ._ file of macOS: 1 .png"),
                        Pair("left out", "4 files, format not read: 1 .db, 2 .heic, 1 .txt"),
                        Pair("left out", "1 file, hidden: 1 .ds_store"),
                        Pair("left out", "1 file, link that leads nowhere: 1 .png"),
                        Pair("note", "1 of 4 pictures are grey among colour; all are packed with 3 channels"),
                        Pair("note", HasSubstr("keep their numbers: 2 emu"))));
}

TEST(Account, IsNoPartOfWhatAPackIsKnownBy) {
  const Mixed mixed;
  const Folder out;
  const PackRequest request{.source = mixed.folder / "set", .out = out.path(), .skip_bad = true};
  test::put(mixed.folder / "set/dog/bad.png", "no picture");
  EXPECT_THAT(account_rows(pack(request).index),
              testing::Contains(Pair("left out", "1 damaged sample, as --skip-bad asks")));
  test::put(mixed.folder / "set/more.txt", "x");
  EXPECT_TRUE(pack(request).already);
}

TEST(Account, IsReadFromWhateverAnIndexHolds) {
  Index index;
  EXPECT_THAT(account_rows(index), IsEmpty());
  for (const char* text : {R"({"report": 3})", R"({"report": {"importer": 1}})",
                           R"({"report": {"importer": "a", "why": "b", "left_out": [{}], "notes": []}})"}) {
    index.provenance = nlohmann::json::parse(text);
    EXPECT_THAT(account_rows(index), ElementsAre(Pair("note", HasSubstr("malformed")))) << text;
  }
}

TEST(Account, ShortensManyClasses) {
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back(fmt::format("n{}", i));
  const Schema schema{.fields = {label_field(1000, names), label_field(7, {})}};
  EXPECT_THAT(class_rows(schema), ElementsAre(Pair("classes", AllOf(HasSubstr("1000 of label: 0 n0, 1 n1"),
                                                                    HasSubstr("9 n9 ... 999 n999"))),
                                              Pair("classes", "7 of label, numbered 0 to 6, without names")));
}

TEST(Account, SaysWhatWasFoundWhereNoPictureIs) {
  const Folder folder;
  for (const char* name : {"a/1.gif", "a/2.gif", "b/x.heic", "b/README"}) test::put(folder / name, "x");
  EXPECT_THAT(error_of([&] { open_source({.source = folder.path()}); }),
              HasSubstr("found only 1 without ending, 2 .gif, 1 .heic"));
}

TEST(Account, SaysThatDepthsWereMadeEqualAndMasksAreOfNoPicture) {
  const Folder folder;
  put_png(folder / "set/1.png");
  test::put(folder / "set/2.png", encode_png(torch::full({3, 4, 4}, 9, torch::kUInt16)));
  for (const char* name : {"1.png", "2.png", "3.png"}) put_png(folder / ("masks/" + std::string(name)), 1);
  test::put(folder / "masks/notes.txt", "x");
  const Source source = open_source({.source = folder / "set", .mask = folder / "masks"});
  EXPECT_THAT(source.notes,
              ElementsAre("1 of 2 pictures have 16 bits among 8; all are packed with 8 (--bits)",
                          "1 of 3 masks are of no picture"));
  EXPECT_EQ(source.left_out.size(), 1U);
}

// --- What is told to people before anything is packed ---

TEST(Pack, RefusesToPackIntoItselfOrWhatItMade) {
  const Mixed mixed;
  const std::string set = mixed.folder / "set";
  const auto error = [&](const std::string& source, const std::string& out) {
    return error_of([&] { pack({.source = source, .out = out}); });
  };
  EXPECT_THAT(error(set, set), HasSubstr("is the source itself"));
  EXPECT_THAT(error(set, set + "/"), HasSubstr("is the source itself"));
  EXPECT_THAT(error(set, set + "/cat/../packed"), HasSubstr("lies in the source"));
  EXPECT_THAT(error(set, mixed.folder.path()), HasSubstr("holds the source"));
  std::filesystem::create_directory_symlink(set, mixed.folder / "link");
  EXPECT_THAT(error(set, mixed.folder / "link/packed"), HasSubstr("lies in the source"));
  EXPECT_FALSE(std::filesystem::exists(set + "/packed"));
  EXPECT_EQ(error(set, set + "-packed"), "");  // beside it, though its name begins alike
  EXPECT_THAT(error(set + "-packed", mixed.folder / "again"), HasSubstr("is packed already"));
  pack({.source = set, .out = mixed.folder / "two", .validation = "0.5"}, World::alone());
  EXPECT_THAT(error(mixed.folder / "two", mixed.folder / "again"), HasSubstr("two/train"));
  test::put(mixed.folder / "run/options.toml", "");
  std::filesystem::create_directories(mixed.folder / "run/checkpoints");
  EXPECT_THAT(error(mixed.folder / "run", mixed.folder / "again"), HasSubstr("is the folder of a run"));
}

TEST(Pack, TakesSharesAsPercentagesOrFractions) {
  const Mixed mixed;
  const Folder out;
  const auto count = [&](const std::string& subset) {
    return pack({.source = mixed.folder / "set", .out = out.path(), .subset = subset, .force = true})
        .index.count;
  };
  EXPECT_EQ(count("50%"), 2);
  EXPECT_EQ(count("0.5"), 2);
  const auto error = [&](const std::string& subset) { return error_of([&] { count(subset); }); };
  EXPECT_THAT(error("1"), AllOf(HasSubstr("1 % or all samples"), HasSubstr("write 1%")));
  EXPECT_THAT(error("20"), AllOf(HasSubstr("20 % or 20 samples"), HasSubstr("write 20%")));
  for (const char* text : {"0", "-1", "100%", "nan", "inf%", "x", "0%", "0.5x"})
    EXPECT_THAT(error(text), HasSubstr("expected a share")) << text;
}

TEST(Pack, SaysWhichPartWouldBeEmpty) {
  const Mixed mixed;
  const Folder out;
  const auto error = [&](const std::string& share) {
    return error_of([&] {
      pack({.source = mixed.folder / "set", .out = out.path(), .validation = share}, World::alone());
    });
  };
  EXPECT_THAT(error("0.001"),
              HasSubstr("--validation 0.1%: of 4 samples, divided class by class, none would be "
                        "left for validation; choose a larger share"));
  EXPECT_THAT(error("0.999"), HasSubstr("left for training; choose a smaller share"));
}

TEST(Pack, SaysThatAKindIsReadFromFiles) {
  const Mixed mixed;
  for (const char* kind : {"csv", "text"})
    EXPECT_THAT(error_of([&] { open_source({.source = mixed.folder / "set", .as = kind}); }),
                HasSubstr("set: expected a file, found a folder"));
}

TEST(Pack, RepeatsTheErrorOfTheKindThatIsAskedFor) {
  const Mixed mixed;
  const std::string file = mixed.folder / "set/dog/notes.txt";
  const auto error = [&](const char* kind, const std::string& source) {
    return error_of([&] { open_source({.source = source, .as = kind}); });
  };
  for (const Importer* importer : importers())
    for (const std::string& source : {file, mixed.folder / "set", mixed.folder / "none"}) {
      const std::string name = importer->name, found = error(importer->name, source);
      if ((name == "text" && source == file) || (name == "pictures" && source == mixed.folder / "set") ||
          (name == "video" && source == mixed.folder / "set"))
        continue;
      EXPECT_THAT(found, HasSubstr(name == "mixtures" ? "ring8" : source)) << name << " of " << source;
      EXPECT_THAT(found, testing::Not(HasSubstr("filesystem error"))) << name;
    }
}

}  // namespace
}  // namespace saddle
