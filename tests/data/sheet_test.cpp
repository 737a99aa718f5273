// Contact sheets: which samples are shown, and that every kind of field is drawn as what it is.
#include "data/view/sheet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "data/check/report.h"
#include "data/view/caption.h"
#include "data/view/kind.h"
#include "data/view/picture.h"
#include "data/view/tile.h"
#include "tests/data/folder.h"
#include "tests/support/images.h"

namespace saddle {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Field field(const std::string& name, std::vector<int64_t> shape, torch::ScalarType dtype,
            int64_t classes = 0) {
  return {.name = name, .shape = std::move(shape), .dtype = dtype, .classes = classes, .class_names = {}};
}

// 4x4 grey pictures whose pixels are their class, sorted by class: 100 of 0, 3 of 1, 100 of 2.
std::shared_ptr<Dataset> sorted_by_class() {
  const torch::Tensor labels = torch::cat({torch::zeros({100}, torch::kLong), torch::ones({3}, torch::kLong),
                                           torch::full({100}, 2, torch::kLong)});
  Schema schema{{field("image", {1, 4, 4}, torch::kByte), field("label", {}, torch::kLong, 3)}};
  schema.fields[1].class_names = {"none", "few", "many"};
  const torch::Tensor images =
      (labels * 100).to(torch::kByte).view({-1, 1, 1, 1}).expand({-1, 1, 4, 4}).contiguous();
  return in_memory(schema, {{"image", images}, {"label", labels}});
}

// One sample of one field.
std::shared_ptr<Dataset> single(const Field& field, const torch::Tensor& value) {
  return in_memory({{field}}, {{field.name, value.unsqueeze(0).contiguous()}});
}

torch::Tensor drawn(const Field& field, const torch::Tensor& value, TileRange range = {}) {
  return tile(field, value, field.shape[0], range);
}

int64_t colours_in(const torch::Tensor& picture) {
  std::set<std::vector<uint8_t>> seen;
  const torch::Tensor pixels = picture.flatten(1).t().contiguous();
  for (int64_t i = 0; i < pixels.size(0); ++i) {
    const auto* at = pixels.data_ptr<uint8_t>() + 3 * i;
    seen.insert({at[0], at[1], at[2]});
  }
  return int64_t(seen.size());
}

TEST(Sheet, ShowsUpToEightOfEveryClassInOrder) {
  const auto data = sorted_by_class();
  const auto choice = choose_samples(*data, 96, 0);
  ASSERT_EQ(choice.size(), 3U);
  EXPECT_THAT(choice,
              ElementsAre(testing::Field(&Choice::caption, "none"), testing::Field(&Choice::caption, "few"),
                          testing::Field(&Choice::caption, "many")));
  EXPECT_EQ(choice[0].samples.size(), 8U);
  EXPECT_THAT(choice[1].samples, ElementsAre(100, 101, 102));
  EXPECT_EQ(choice[2].samples.size(), 8U);
  for (const int64_t sample : choice[2].samples) EXPECT_GE(sample, 103);
}

TEST(Sheet, SharesFewSamplesAmongManyClasses) {
  const torch::Tensor labels = torch::arange(1000, torch::kLong);
  const auto data = in_memory({{field("label", {}, torch::kLong, 1000)}}, {{"label", labels}});
  const auto choice = choose_samples(*data, 50, 0);
  ASSERT_EQ(choice.size(), 50U);
  for (size_t i = 0; i < 50; ++i) EXPECT_THAT(choice[i].samples, ElementsAre(int64_t(i) * 20));
}

TEST(Sheet, SpreadsOverSetsWithoutLabels) {
  const auto data = in_memory({{field("image", {1, 2, 2}, torch::kByte)}},
                              {{"image", torch::zeros({1000, 1, 2, 2}, torch::kByte)}});
  const auto choice = choose_samples(*data, 10, 0);
  ASSERT_EQ(choice.size(), 1U);
  EXPECT_THAT(choice[0].samples, ElementsAre(0, 100, 200, 300, 400, 500, 600, 700, 800, 900));
  EXPECT_EQ(choose_samples(*data, 5000, 0)[0].samples.size(), 1000U);
}

TEST(Sheet, IsDecidedByTheSeed) {
  const auto data = test::images(500);
  EXPECT_TRUE(contact_sheet(*data, 96, 1).equal(contact_sheet(*data, 96, 1)));
  EXPECT_FALSE(contact_sheet(*data, 96, 1).equal(contact_sheet(*data, 96, 2)));
}

TEST(Sheet, HasARowForEveryClass) {
  const torch::Tensor sheet = contact_sheet(*sorted_by_class(), 96, 0);
  const int64_t third = sheet.size(1) / 3;
  EXPECT_GE(sheet.size(2), 450);
  for (int64_t label = 0; label < 3; ++label)
    EXPECT_EQ(sheet[0][label * third + third / 2][20].item<int64_t>(), label * 100);
}

TEST(Sheet, NamesTheClassAboveItsRow) {
  auto data = sorted_by_class();
  const torch::Tensor sheet = contact_sheet(*data, 96, 0);
  const torch::Tensor row = picture_strips(*data, choose_samples(*data, 96, 0), {"image"}).at(0).picture;
  const int64_t caption = sheet.size(1) / 3 - row.size(1);
  EXPECT_TRUE(sheet.narrow(1, 0, caption).equal(captions({"none"}, sheet.size(2))));
}

TEST(Captions, StandAboveTheirSharesOfTheWidth) {
  const torch::Tensor both = captions({"bag", "coat"}, 200), first = captions({"bag", ""}, 200);
  EXPECT_EQ(both.sizes(), torch::IntArrayRef({3, 24, 200}));
  EXPECT_TRUE(both.narrow(2, 0, 100).equal(first.narrow(2, 0, 100)));
  EXPECT_GT(both.narrow(2, 100, 100).eq(0).sum().item<int64_t>(), 100);
  EXPECT_EQ(first.narrow(2, 100, 100).eq(0).sum().item<int64_t>(), 0);
}

TEST(Captions, AreCutWhereThereIsNoRoomAndWriteAnyText) {
  EXPECT_EQ(captions({std::string(500, 'W'), "a"}, 60).size(2), 60);
  EXPECT_EQ(captions({"wide", "names"}, 6).eq(0).sum().item<int64_t>(), 0);
  EXPECT_TRUE(captions({"\xc3\xa4\n\x7f\xff"}, 90).equal(captions({"????"}, 90)));
  EXPECT_EQ(captions({"tall bag ~{}|"}, 300).size(1), 24);
}

TEST(Sheet, PutsTheFieldsOfAPairSideBySide) {
  const Schema schema{{field("a", {3, 8, 8}, torch::kByte), field("b", {1, 8, 8}, torch::kByte),
                       field("mask", {1, 8, 8}, torch::kShort)}};
  const auto data = in_memory(schema, {{"a", torch::full({1, 3, 8, 8}, 50, torch::kByte)},
                                       {"b", torch::full({1, 1, 8, 8}, 200, torch::kByte)},
                                       {"mask", torch::full({1, 1, 8, 8}, 3, torch::kShort)}});
  const auto strips = picture_strips(*data, choose_samples(*data, 1, 0), {"a", "b", "mask"});
  const torch::Tensor& picture = strips.at(0).picture;
  const int64_t middle = picture.size(1) / 2, width = picture.size(2);
  EXPECT_EQ(picture[0][middle][width / 6].item<int64_t>(), 50);
  EXPECT_EQ(picture[1][middle][width / 2].item<int64_t>(), 200);
  EXPECT_NE(picture[0][middle][5 * width / 6].item<int64_t>(),
            picture[1][middle][5 * width / 6].item<int64_t>());
}

TEST(Tile, DrawsAnyNumberOfChannels) {
  for (const int64_t channels : {1, 2, 3, 4, 5, 12}) {
    const torch::Tensor picture = drawn(field("image", {channels, 6, 7}, torch::kByte),
                                        torch::full({channels, 6, 7}, 99, torch::kByte));
    EXPECT_EQ(picture.size(0), 3);
    EXPECT_EQ(picture.size(1), 6);
    const bool beside = channels == 2 || channels > 4;
    EXPECT_EQ(picture.size(2), beside ? std::min<int64_t>(channels, 8) * 8 - 1 : 7) << channels;
  }
}

TEST(Tile, ShowsWhatIsTransparent) {
  torch::Tensor picture = torch::full({4, 16, 16}, 10, torch::kByte);
  picture[3].narrow(1, 0, 8).fill_(0), picture[3].narrow(1, 8, 8).fill_(255);
  const torch::Tensor shown = drawn(field("image", {4, 16, 16}, torch::kByte), picture);
  EXPECT_EQ(colours_in(shown.narrow(2, 0, 8)), 2);  // the board
  EXPECT_EQ(colours_in(shown.narrow(2, 8, 8)), 1);
}

TEST(Tile, DrawsSixteenBitsAndFloats) {
  const torch::Tensor ramp = torch::arange(0, 65536, 4096, torch::kInt).view({1, 4, 4}).to(torch::kUInt16);
  const torch::Tensor shown = drawn(field("image", {1, 4, 4}, torch::kUInt16), ramp, {0, 65535});
  EXPECT_EQ(shown[0][0][0].item<int64_t>(), 0);
  EXPECT_EQ(shown[0][2][0].item<int64_t>(), 128);
  const auto floats = single(field("image", {1, 4, 4}, torch::kFloat),
                             torch::arange(16, torch::kFloat).view({1, 4, 4}) * 1000);
  EXPECT_EQ(colours_in(contact_sheet(*floats, 1, 0)), 16);  // black to white, white as the gaps
}

TEST(Tile, GivesEveryNumberOfALabelMapItsOwnColour) {
  const Field map = field("mask", {1, 6, 10}, torch::kShort);
  EXPECT_EQ(kind_of(map), Kind::label_map);
  const torch::Tensor shown = drawn(map, torch::arange(60, torch::kShort).view({1, 6, 10}));
  EXPECT_EQ(colours_in(shown), 60);
  EXPECT_EQ(shown.select(1, 0).select(1, 0).sum().item<int64_t>(), 0);  // the background is black
}

TEST(Tile, ShowsTheMiddleSlicesOfAVolume) {
  const Field volume = field("volume", {1, 20, 10, 12}, torch::kByte);
  torch::Tensor value = torch::zeros({1, 20, 10, 12}, torch::kByte);
  value[0][10].fill_(80), value[0].select(1, 5).fill_(160), value[0].select(2, 6).fill_(240);
  value[0][19].fill_(33);  // what is above is drawn above
  const torch::Tensor shown = drawn(volume, value);
  ASSERT_EQ(shown.sizes(), torch::IntArrayRef({3, 20, 12 + 1 + 12 + 1 + 10}));
  EXPECT_EQ(shown[0][0][0].item<int64_t>(), 80);
  EXPECT_EQ(shown[0][1][13].item<int64_t>(), 160);
  EXPECT_EQ(shown[0][1][26].item<int64_t>(), 240);
  EXPECT_EQ(shown[0][0][13].item<int64_t>(), 33);
}

TEST(Tile, ShowsAVolumeOf16BitsAsOneOf8) {
  const auto value = [](torch::ScalarType dtype, int64_t scale) {
    return torch::arange(6 * 5 * 8, torch::kInt).mul(scale).view({1, 6, 5, 8}).to(dtype);
  };
  const torch::Tensor deep = drawn(field("volume", {1, 6, 5, 8}, torch::kUInt16), value(torch::kUInt16, 257),
                                   {.low = 0, .high = 65535});
  const torch::Tensor flat = drawn(field("volume", {1, 6, 5, 8}, torch::kByte), value(torch::kByte, 1));
  EXPECT_LE((deep.to(torch::kInt) - flat.to(torch::kInt)).abs().max().item<int>(), 1);
}

TEST(Tile, ShowsFramesOfAVideoThatThereAre) {
  Field video = field("video", {32, 3, 6, 6}, torch::kByte);
  torch::Tensor value =
      torch::arange(32, torch::kByte).view({32, 1, 1, 1}).expand({32, 3, 6, 6}).contiguous();
  EXPECT_EQ(kind_of(video), Kind::video);
  const torch::Tensor shown = drawn(video, value);
  ASSERT_EQ(shown.size(2), 8 * 6 + 7);
  for (int64_t i = 0; i < 8; ++i) EXPECT_EQ(shown[0][0][i * 7].item<int64_t>(), i * 4);
  video.variable = true;
  EXPECT_EQ(tile(video, value, 3, {}).size(2), 3 * 6 + 2);
  EXPECT_EQ(colours_in(tile(video, value, 0, {})), 1);
}

TEST(Tile, ReducesLargePictures) {
  const torch::Tensor shown =
      drawn(field("image", {3, 1024, 512}, torch::kByte), torch::full({3, 1024, 512}, 77, torch::kByte));
  EXPECT_EQ(shown.sizes(), torch::IntArrayRef({3, 128, 64}));
  EXPECT_EQ(colours_in(shown), 1);
}

TEST(Sheet, ScattersPointsInTheColoursOfTheirClasses) {
  const Schema schema{{field("x", {3}, torch::kFloat), field("label", {}, torch::kLong, 2)}};
  const torch::Tensor labels = torch::arange(100, torch::kLong).remainder(2);
  const torch::Tensor points = labels.to(torch::kFloat).view({100, 1}).expand({100, 3}).contiguous();
  EXPECT_EQ(colours_in(contact_sheet(*in_memory(schema, {{"x", points}, {"label", labels}}), 96, 0)), 3);
}

TEST(Sheet, DrawsHistogramsOfNumbers) {
  const auto data =
      in_memory({{field("age", {}, torch::kFloat)}}, {{"age", torch::arange(100, torch::kFloat)}});
  const auto strips = figure_strips(*data, "age", 0);
  ASSERT_EQ(strips.size(), 1U);
  EXPECT_EQ(strips[0].caption, "0 to 99");
  EXPECT_EQ(colours_in(contact_sheet(*data, 96, 0)), 2);
  const auto nothing = single(field("age", {}, torch::kFloat), torch::full({}, std::nan("")));
  EXPECT_EQ(figure_strips(*nothing, "age", 0).size(), 0U);
}

TEST(Sheet, SaysWhatItCanDrawWhereThereIsOnlyText) {
  const auto data = single(field("tokens", {4}, torch::kShort, 3), torch::zeros({4}, torch::kShort));
  EXPECT_THAT(test::error_of([&] { contact_sheet(*data, 96, 0); }),
              AllOf(HasSubstr("nothing to draw"), HasSubstr("volumes"), HasSubstr("--report")));
}

std::string text(const std::vector<std::string>& vocabulary, const std::vector<int64_t>& tokens) {
  Field field{.name = "tokens",
              .shape = {int64_t(tokens.size())},
              .dtype = torch::kLong,
              .classes = int64_t(vocabulary.size()),
              .class_names = vocabulary};
  const auto data = single(field, torch::tensor(tokens));
  return text_lines(*data, choose_samples(*data, 1, 0), "tokens").at(0);
}

TEST(Sheet, WritesCharactersTogetherAndWordsApart) {
  EXPECT_EQ(text({"a", "b", " ", "<end>"}, {0, 1, 2, 1, 0, 3}), "ab ba<end>");
  EXPECT_EQ(text({"C", "c", "(", ")", "Cl", "[nH]", "1"}, {0, 2, 4, 3, 5, 6}), "C(Cl)[nH]1");
  EXPECT_EQ(text({"<unk>", "the", "cat", "a"}, {1, 2, 0, 3}), "the cat <unk> a");
}

Checked checked(const std::shared_ptr<Dataset>& data) {
  Audit audit{.index = {.schema = data->schema(), .count = data->size()}};
  audit.fields.resize(data->schema().fields.size());
  return {.folder = "a <folder>", .audit = audit, .data = data};
}

// The bytes of the first picture of a page.
std::string first_picture(const std::string& page) {
  const std::string before = "data:image/png;base64,",
                    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t word = 0, bits = 0;
  for (size_t i = page.find(before) + before.size(); page[i] != '"' && page[i] != '='; ++i) {
    word = word << 6 | uint32_t(digits.find(page[i]));
    if ((bits += 6) >= 8) out += char(word >> (bits -= 8) & 255);
  }
  return out;
}

TEST(Report, EmbedsPicturesThatCanBeRead) {
  const test::Folder folder;
  const std::string page = html_page({checked(sorted_by_class())}, 0);
  test::put(folder / "first.png", first_picture(page));
  EXPECT_EQ(read_picture(folder / "first.png", 1).max().item<int64_t>(), 255);
  EXPECT_THAT(page, AllOf(HasSubstr("<figcaption>many</figcaption>"), Not(HasSubstr("http"))));
}

TEST(Report, IsNotFooledByNames) {
  Field tokens{.name = "<b>",
               .shape = {2},
               .dtype = torch::kLong,
               .classes = 2,
               .class_names = {"<script>alert(1)</script>", "\"&"}};
  Checked all = checked(single(tokens, torch::arange(2, torch::kLong)));
  all.audit.fields[0].per_class = {{0, 1}, {1, 1}};
  all.audit.problems = {"<i>"};
  const std::string page = html_page({all}, 0);
  EXPECT_THAT(page, AllOf(HasSubstr("a &lt;folder&gt;"), HasSubstr("&lt;script&gt;"),
                          HasSubstr("&quot;&amp;"), HasSubstr("&lt;i&gt;")));
  EXPECT_THAT(page, AllOf(Not(HasSubstr("<script>")), Not(HasSubstr("<b>")), Not(HasSubstr("<i>"))));
}

TEST(Report, CountsAllClassesOrTheCommonest) {
  Field label = field("label", {}, torch::kLong, 4);
  const FieldFigures figures{.values = {}, .per_class = {{0, 1}, {2, 5}, {3, 2}}};
  using Counts = std::vector<ClassCount>;
  EXPECT_EQ(class_counts(label, figures, 4),
            (Counts{{"0", "", 1}, {"1", "", 0}, {"2", "", 5}, {"3", "", 2}}));
  label.class_names = {"shirt", "bag", "boot", "coat"};
  EXPECT_EQ(class_counts(label, figures, 2), (Counts{{"2", "boot", 5}, {"", "3 others", 3}}));
}

}  // namespace
}  // namespace saddle
