#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/dataset.h"
#include "data/pack/files.h"
#include "data/pack/pack.h"
#include "data/picture.h"
#include "data/unpack.h"
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
  EXPECT_THAT(error(R"({"labels": 3})"), HasSubstr("expected a list"));
  EXPECT_THAT(error(R"({"labels": [3]})"), HasSubstr("expected [name, label]"));
  EXPECT_THAT(error(first + R"(-3], ["00000/img00000001.png", 0]]})"), HasSubstr("found -3"));
  EXPECT_THAT(error(first + R"(1e9], ["00000/img00000001.png", 0]]})"), HasSubstr("1048575"));
  EXPECT_THAT(error(first + R"([1, 2]], ["00000/img00000001.png", [1]]]})"), HasSubstr("vectors of 2"));
  EXPECT_THAT(error(first + R"([1, "2"]], ["00000/img00000001.png", [1, 2]]]})"), HasSubstr("found string"));
  EXPECT_EQ(error("no json"), "");  // then it is a mere archive of pictures
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
