#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>
#include <thread>

#include "data/pack/pack.h"
#include "tests/data/folder.h"
#include "tests/data/tiny_font.h"

namespace saddle {
namespace {

using test::error_of;
using test::Folder;
using test::Rectangle;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kEmoji = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf";

// A stands on the baseline, B hangs below it, C is as wide as any.
struct Alphabet {
  Alphabet() {
    test::put(regular(), test::tiny_font('A', {{100, 0, 300, 700}, {0, -200, 400, 500}, {0, 0, 800, 100}}));
    test::put(bold(), test::tiny_font('A', {{100, 0, 500, 700}, {0, -200, 600, 500}}));
  }
  std::string regular() const { return folder / "regular.ttf"; }
  std::string bold() const { return folder / "bold.ttf"; }
  Folder folder;
};

torch::Tensor image_of(const Source& source, int64_t i, const std::string& name = "image") {
  return source.sample(i)[name][0].to(torch::kInt);
}

// First and last row of [1, H, W] on which there is ink.
std::pair<int64_t, int64_t> rows(const torch::Tensor& image) {
  std::pair<int64_t, int64_t> out{-1, -1};
  for (int64_t y = 0; y < image.size(1); ++y)
    if (image[0][y].sum().item<int>() > 0) out = {out.first < 0 ? y : out.first, y};
  return out;
}

TEST(PackGlyphs, DrawsOnOneBaselineAtOneScale) {
  const Alphabet fonts;
  const Source source =
      open_source({.source = fonts.regular(), .size = ImageSize{128, 128}, .characters = "ABC"});
  EXPECT_EQ(describe(source.schema), "image uint8 [1, 128, 128], label int64 [] of 3 classes");
  EXPECT_EQ(source.schema["label"].class_names, (std::vector<std::string>{"A", "B", "C"}));
  const auto a = image_of(source, 0), b = image_of(source, 1), c = image_of(source, 2);
  EXPECT_EQ(rows(a).second, rows(c).second);                               // both stand on it
  EXPECT_NEAR(rows(b).first - rows(a).first, 0.2 * 0.875 * 128 / 0.9, 1);  // 200 of 1000 to the em lower
  EXPECT_GT(rows(b).second, rows(a).second);                               // this hangs
}

TEST(PackGlyphs, InkIsTheAreaOfTheGlyph) {
  const Alphabet fonts;
  const Source source =
      open_source({.source = fonts.regular(), .size = ImageSize{90, 160}, .characters = "ABC"});
  const double em = 0.875 * 90 / 0.9;  // the height of all, 900 of 1000, fills 14 of 16 parts
  const std::array<double, 3> areas{0.2 * 0.7, 0.4 * 0.7, 0.8 * 0.1};
  for (int64_t i = 0; i < 3; ++i) {
    const auto image = image_of(source, i);
    EXPECT_NEAR(image.sum().item<double>() / 255, areas[size_t(i)] * em * em, 6) << i;
    EXPECT_TRUE(image.equal(image.flip(2))) << i;  // centred
  }
}

TEST(PackGlyphs, PairsTheCharactersThatBothFontsHave) {
  const Alphabet fonts;
  const Source source = open_source({.source = fonts.regular(), .pair = fonts.bold(), .characters = "CBA"});
  EXPECT_EQ(describe(source.schema), "a uint8 [1, 64, 64], b uint8 [1, 64, 64], label int64 [] of 2 classes");
  EXPECT_EQ(source.schema["label"].class_names, (std::vector<std::string>{"B", "A"}));
  EXPECT_EQ(source.provenance["missing"], nlohmann::json({"C"}));
  const auto a = image_of(source, 1, "a"), b = image_of(source, 1, "b");
  EXPECT_EQ(rows(a), rows(b));
  EXPECT_NEAR(b.sum().item<double>() / a.sum().item<double>(), 2, 0.05);
}

TEST(PackGlyphs, DrawsBlackOnWhite) {
  const Alphabet fonts;
  const PackRequest black{.source = fonts.regular()};
  PackRequest white = black, clear = black;
  white.background = "ffffff", white.channels = 3, clear.channels = 4;
  const auto on_black = image_of(open_source(black), 0), on_white = image_of(open_source(white), 0);
  EXPECT_TRUE((255 - on_black).expand({3, -1, -1}).equal(on_white));
  const auto rgba = image_of(open_source(clear), 0);
  EXPECT_TRUE(rgba[3].equal(on_black[0]));
  EXPECT_EQ(rgba[0].min().item<int>(), 255);
}

TEST(PackGlyphs, SaysWhatIsWrong) {
  const Alphabet fonts;
  EXPECT_THAT(error_of([&] { open_source({.source = fonts.regular(), .characters = "xyz"}); }),
              AllOf(HasSubstr(fonts.regular()), HasSubstr("none of the characters")));
  EXPECT_THAT(error_of([&] { open_source({.source = fonts.regular(), .characters = "A\xff"}); }),
              HasSubstr("byte 2"));
  EXPECT_THAT(error_of([&] {
                open_source({.source = fonts.regular(), .given = {{"filter", ""}}});
              }),
              HasSubstr("--filter"));
  const std::string whole = read_file(fonts.regular());
  for (size_t size = 0; size < whole.size(); size += 7) {  // cut off anywhere: an error or a smaller font
    test::put(fonts.folder / "cut.ttf", whole.substr(0, size));
    error_of([&] {
      const Source source = open_source({.source = fonts.folder / "cut.ttf", .characters = "ABC"});
      for (int64_t i = 0; i < source.count; ++i) source.sample(i);
    });
  }
}

TEST(PackGlyphs, GivesEveryThreadTheSamePictures) {
  const Alphabet fonts;
  const Source source = open_source({.source = fonts.regular(), .characters = "ABC"});
  std::array<int64_t, 4> sums{};
  std::vector<std::thread> threads;
  for (int64_t& sum : sums)
    threads.emplace_back([&] {
      for (int64_t i = 0; i < 300; ++i) sum += (1 + i) * image_of(source, i % 3).sum().item<int64_t>();
    });
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(sums, testing::Each(sums[0]));
}

TEST(PackGlyphs, TakesEveryPictureOfAColourFont) {
  if (!std::filesystem::exists(kEmoji)) GTEST_SKIP() << kEmoji << " is not installed";
  const Source all = open_source({.source = kEmoji});
  EXPECT_EQ(describe(all.schema), "image uint8 [3, 128, 136]");
  EXPECT_GT(all.count, 3000);
  const Source faces = open_source({.source = kEmoji,
                                    .out = {},
                                    .size = ImageSize{32, 32},
                                    .channels = 4,
                                    .characters = "\U0001F600\U0001F601"});
  EXPECT_EQ(describe(faces.schema), "image uint8 [4, 32, 32], label int64 [] of 2 classes");
  const auto face = image_of(faces, 0);
  EXPECT_EQ(face[3][0][0].item<int>(), 0);  // transparent around
  EXPECT_EQ(face[3][16][8].item<int>(), 255);
  EXPECT_GT(face[0][16][8].item<int>(), face[2][16][8].item<int>() + 100);  // yellow
}

}  // namespace
}  // namespace saddle
