#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/dataset.h"
#include "data/pack/files/files.h"
#include "data/pack/pack.h"
#include "data/view/picture.h"
#include "data/view/unpack.h"
#include "tests/data/archive.h"
#include "tests/data/folder.h"

namespace saddle {
namespace {

using test::error_of;
using test::Folder;
using testing::AllOf;
using testing::HasSubstr;

torch::Tensor pictures(int64_t count, int64_t channels) {
  return torch::arange(count * channels * 30)
      .mul(13)
      .remainder(256)
      .reshape({count, channels, 5, 6})
      .to(torch::kByte);
}

// What `source` reads equals `data`, field by field.
void expect_same(const Source& source, const Dataset& data, const std::vector<std::string>& fields) {
  ASSERT_EQ(source.count, data.size());
  for (int64_t i = 0; i < data.size(); ++i)
    for (const std::string& field : fields)
      EXPECT_TRUE(source.sample(i)[field].equal(data.read({i})[field])) << field << " " << i;
}

TEST(StyleGan, SurvivesTheWayThereAndBack) {
  const Folder folder;
  for (int64_t channels : {1, 3, 4}) {
    const auto data =
        in_memory({.fields = {image_field("image", channels, {5, 6}), label_field(4, {})}},
                  {{"image", pictures(1003, channels)}, {"label", torch::arange(1003).remainder(4)}});
    const std::string path = folder / fmt::format("{}.zip", channels);
    write_stylegan_zip(*data, path);
    const Source source = open_source({.source = path, .channels = channels});
    EXPECT_EQ(source.schema, data->schema());
    expect_same(source, *data, {"image", "label"});
    EXPECT_EQ(source.label(6), 2);
    const auto files = open_files(path, [](const std::string&) { return true; });
    EXPECT_TRUE(files->find("00001/img00001002.png"));
    EXPECT_THAT(files->read(*files->find("dataset.json")), HasSubstr("[\"00001/img00001001.png\",1]"));
  }
}

TEST(StyleGan, KeepsVectorsAndWhatHasNoLabels) {
  const Folder folder;
  const Field features{.name = "features", .shape = {3}, .dtype = torch::kFloat, .class_names = {}};
  const auto vectors = in_memory({.fields = {image_field("image", 3, {5, 6}), features}},
                                 {{"image", pictures(4, 3)}, {"features", torch::rand({4, 3})}});
  write_stylegan_zip(*vectors, folder / "vectors.zip");
  expect_same(open_source({.source = folder / "vectors.zip"}), *vectors, {"image", "features"});
  const auto plain = in_memory({.fields = {image_field("image", 3, {5, 6})}}, {{"image", pictures(4, 3)}});
  write_stylegan_zip(*plain, folder / "plain.zip");
  const Source source = open_source({.source = folder / "plain.zip"});
  EXPECT_EQ(describe(source.schema), "image uint8 [3, 5, 6]");
  expect_same(source, *plain, {"image"});
}

TEST(StyleGan, WritesEqualArchivesOfEqualSets) {
  const Folder folder;
  const auto data = in_memory({.fields = {image_field("image", 3, {5, 6})}}, {{"image", pictures(4, 3)}});
  write_stylegan_zip(*data, folder / "a.zip");
  write_stylegan_zip(*data, folder / "b.zip");
  EXPECT_EQ(read_file(folder / "a.zip"), read_file(folder / "b.zip"));
  EXPECT_THAT(error_of([&] { write_stylegan_zip(*data, folder / "a.zip"); }), HasSubstr("exists"));
  EXPECT_THAT(error_of([&] { write_stylegan_zip(*data, "/nowhere/a.zip"); }), HasSubstr("/nowhere/a.zip"));
  const auto points =
      in_memory({.fields = {{.name = "x", .shape = {2}, .class_names = {}}}}, {{"x", torch::rand({3, 2})}});
  EXPECT_THAT(error_of([&] { write_stylegan_zip(*points, folder / "c.zip"); }), HasSubstr("x float32 [2]"));
}

// Fails when it is read the second time.
struct Failing : Dataset {
  explicit Failing(std::shared_ptr<Dataset> inner) : inner(std::move(inner)) {}
  const Schema& schema() const override { return inner->schema(); }
  int64_t size() const override { return inner->size(); }
  bool read_sample(int64_t index, std::span<Place> places) const override {
    require(index != 1, Exit::data, "sample 1 is damaged");
    return inner->read_sample(index, places);
  }
  const nlohmann::json& provenance() const override { return inner->provenance(); }
  std::string fingerprint() const override { return inner->fingerprint(); }
  std::shared_ptr<Dataset> inner;
};

TEST(StyleGan, LeavesNothingOfAnArchiveThatFails) {
  const Folder folder;
  const Failing data(in_memory({.fields = {image_field("image", 3, {5, 6})}}, {{"image", pictures(4, 3)}}));
  EXPECT_EQ(error_of([&] { write_stylegan_zip(data, folder / "a.zip"); }), "sample 1 is damaged");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(StyleGan, SaysWhatIsWrongWithItsTable) {
  const Folder folder;
  const std::string picture = encode_png(pictures(1, 3)[0]);
  const auto error = [&](const std::string& table) {
    test::put_zip(
        folder / "a.zip",
        {{"00000/img00000000.png", picture}, {"00000/img00000001.png", picture}, {"dataset.json", table}});
    return error_of([&] { open_source({.source = folder / "a.zip"}); });
  };
  const std::string first = R"({"labels": [["00000/img00000000.png", )";
  EXPECT_EQ(error(first + R"(3], ["00000\\img00000001.png", 0]]})"), "");
  EXPECT_THAT(error(first + "3]]}"), HasSubstr("has none for 00000/img00000001.png"));
  EXPECT_THAT(error(R"({"labels": 3})"), HasSubstr("expected a list or null, found 3"));
  EXPECT_THAT(error(R"({"labels": [3]})"), HasSubstr("expected [name, label]"));
  EXPECT_THAT(error(first + R"(-3], ["00000/img00000001.png", 0]]})"), HasSubstr("found -3"));
  EXPECT_THAT(error(first + R"(1e9], ["00000/img00000001.png", 0]]})"), HasSubstr("1048575"));
  EXPECT_THAT(error(first + R"([1, 2]], ["00000/img00000001.png", [1]]]})"), HasSubstr("vectors of 2"));
  EXPECT_THAT(error(first + R"([1, "2"]], ["00000/img00000001.png", [1, 2]]]})"), HasSubstr("found \"2\""));
}

TEST(StyleGan, NeverLeavesADamagedTableToAnotherImporter) {
  const Folder folder;
  const std::string picture = encode_png(pictures(1, 3)[0]);
  for (const char* name : {"set/00000/0.png", "set/00001/1.png"}) test::put(folder / name, picture);
  const auto error = [&](const std::string& table, const std::string& as = "") {
    test::put(folder / "set/dataset.json", table);
    return error_of([&] { open_source({.source = folder / "set", .as = as}); });
  };
  const std::string rows = "[\"00000/0.png\", 1],\n[\"00001/1.png\", 0]";
  const std::string path = folder / "set/dataset.json";
  EXPECT_EQ(error("{\"labels\": [" + rows + "]}"), "");
  EXPECT_THAT(error("{\"labels\": [" + rows + ",]}"),
              AllOf(HasSubstr(path + ": line 2, column 20: malformed JSON"), HasSubstr("--as pictures")));
  for (const char* other :
       {"", "no json", "[1]", "{}", R"({"images": 3})", "\xff\xfe{", R"({"labels": {"0": "cat"}})"})
    EXPECT_THAT(error(other), AllOf(HasSubstr(path), HasSubstr("--as pictures"))) << other;
  EXPECT_THAT(error(std::string(1 << 20, '[')), HasSubstr("too deeply"));
  EXPECT_THAT(error("{\"labels\": [" + rows + "],\n\"labels\": null}"),
              AllOf(HasSubstr("line 3, column 1"), HasSubstr("occurs twice")));
  EXPECT_EQ(error("no json", "pictures"), "");  // asked for
}

TEST(StyleGan, NamesATableThatIsNone) {
  const std::string picture = encode_png(pictures(1, 3)[0]);
  const auto error = [&](const char* table, auto make) {
    const Folder folder;
    for (const char* name : {"set/00000/0.png", "set/00001/1.png"}) test::put(folder / name, picture);
    make(folder / (std::string("set/") + table));
    const std::string below = error_of([&] { open_source({.source = folder.path()}); });
    EXPECT_THAT(below, HasSubstr(std::string("holds set/") + table)) << table;
    return error_of([&] { open_source({.source = folder / "set"}); });
  };
  const auto link = [](const std::string& path) { std::filesystem::create_symlink("gone", path); };
  const auto folder = [](const std::string& path) { test::put(path + "/x", ""); };
  const auto file = [](const std::string& path) { test::put(path, R"({"labels": null})"); };
  EXPECT_THAT(error("dataset.json", link), AllOf(HasSubstr("set/dataset.json: expected the table"),
                                                 HasSubstr("found a link that leads nowhere")));
  EXPECT_THAT(error("dataset.json", folder), HasSubstr("found a folder of that name"));
  EXPECT_THAT(error("Dataset.JSON", file), HasSubstr("Dataset.JSON: expected the table dataset.json, found "
                                                     "another spelling of its name; rename it"));
}

TEST(StyleGan, NotesClassesWithoutASample) {
  const Folder folder;
  for (const char* name : {"0.png", "1.png"}) test::put(folder / name, encode_png(pictures(1, 3)[0]));
  test::put(folder / "dataset.json", R"({"labels": [["0.png", 0], ["1.png", 1000]]})");
  EXPECT_THAT(open_source({.source = folder.path()}).notes,
              testing::ElementsAre("999 of 1001 classes have no sample and keep their numbers: 1 to 999"));
}

TEST(StyleGan, IsNotPassedOverOneFolderBelow) {
  const Folder folder;
  test::put(folder / "set/0.png", encode_png(pictures(1, 3)[0]));
  test::put(folder / "set/dataset.json", R"({"labels": [["0.png", 1]]})");
  EXPECT_THAT(error_of([&] { open_source({.source = folder.path()}); }), HasSubstr("holds set/dataset.json"));
  EXPECT_EQ(open_source({.source = folder.path(), .as = "pictures"}).count, 1);
}

TEST(StyleGan, RefusesPicturesListedTwiceOrNotThere) {
  const Folder folder;
  for (const char* name : {"0.png", "1.png"}) test::put(folder / name, encode_png(pictures(1, 3)[0]));
  const auto error = [&](const std::string& rows) {
    test::put(folder / "dataset.json", R"({"labels": [["0.png", 1], ["1.png", 0])" + rows + "]}");
    return error_of([&] { open_source({.source = folder.path()}); });
  };
  EXPECT_THAT(error(R"(, ["0.png", 7])"), HasSubstr("0.png is listed twice, as 1 and as 7"));
  EXPECT_THAT(error(R"(, ["0.png", 1])"), HasSubstr("as 1 and as 1"));
  EXPECT_THAT(error(R"(, ["z.png", 1], ["gone.png", 1])"),
              HasSubstr("2 of 4 names are no pictures there, the first: gone.png"));
}

TEST(Unpack, WritesFoldersThatPackReadsBack) {
  const Folder folder;
  const auto data =
      in_memory({.fields = {image_field("image", 3, {5, 6}), label_field(3, {"ape", "../up", "cow"})}},
                {{"image", pictures(6, 3)}, {"label", torch::arange(6).div(2, "floor")}});
  write_picture_folder(*data, folder / "out");
  EXPECT_TRUE(std::filesystem::exists(folder / "out/class-00001/img00000002.png"));  // not above `out`
  const Source source = open_source({.source = folder / "out"});
  EXPECT_THAT(source.schema["label"].class_names, testing::ElementsAre("ape", "class-00001", "cow"));
  expect_same(source, *data, {"image", "label"});
  EXPECT_THAT(error_of([&] { write_picture_folder(*data, folder / "out"); }), HasSubstr("not empty"));
}

}  // namespace
}  // namespace saddle
