#include "data/view/picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/pack/source.h"
#include "dist/random.h"
#include "tests/data/folder.h"
#include "tests/data/picture_files.h"

namespace saddle {
namespace {

using test::error_of;
using test::Folder;
using testing::AllOf;
using testing::HasSubstr;

torch::Tensor noise(int64_t channels, int64_t height, int64_t width) {
  return uniform(Stream(1, "picture"), {.first = 0, .count = channels}, {height, width}, torch::kDouble)
      .mul(256)
      .to(torch::kByte);
}

TEST(Picture, SurvivesPng) {
  const Folder folder;
  for (int64_t channels : {1, 3}) {
    const torch::Tensor picture = noise(channels, 13, 21);
    write_png(folder / "a.png", picture);
    EXPECT_TRUE(read_picture(folder / "a.png", channels).equal(picture));
    EXPECT_EQ(picture_info("a", read_file(folder / "a.png")), (PictureInfo{channels, 13, 21, 8}));
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "a.png.tmp"));
}

TEST(Picture, ConvertsBetweenGreyAndColour) {
  const Folder folder;
  const torch::Tensor grey = noise(1, 8, 8);
  write_png(folder / "grey.png", grey);
  EXPECT_TRUE(read_picture(folder / "grey.png", 3).equal(grey.expand({3, 8, 8})));
  write_png(folder / "colour.png", grey.expand({3, 8, 8}).contiguous());
  EXPECT_TRUE(read_picture(folder / "colour.png", 1).equal(grey));
}

TEST(Picture, ReadsJpeg) {
  const Folder folder;
  const torch::Tensor ramp = torch::arange(32).mul(8).to(torch::kByte).expand({32, 32});
  for (int64_t channels : {1, 3}) {
    const torch::Tensor picture = ramp.expand({channels, 32, 32}).contiguous();
    test::put(folder / "a.jpg", test::jpeg_of(picture));
    const torch::Tensor found = read_picture(folder / "a.jpg", channels);
    EXPECT_EQ(found.sizes(), picture.sizes());
    EXPECT_LE((found.to(torch::kInt) - picture.to(torch::kInt)).abs().max().item<int>(), 6);
    EXPECT_EQ(picture_info("a", read_file(folder / "a.jpg")), (PictureInfo{channels, 32, 32, 8}));
  }
}

TEST(Picture, NamesDamagedFilesAndTheReason) {
  const Folder folder;
  write_png(folder / "a.png", noise(3, 40, 40));
  test::put(folder / "a.jpg", test::jpeg_of(noise(3, 40, 40)));
  for (const char* name : {"a.png", "a.jpg"}) {
    const std::string intact = read_file(folder / name);
    for (size_t length : {size_t{3}, size_t{20}, intact.size() / 2, intact.size() - 30}) {
      test::put(folder / "cut", intact.substr(0, length));
      EXPECT_THAT(error_of([&] { read_picture(folder / "cut", 3); }), HasSubstr(folder / "cut"))
          << name << " " << length;
    }
  }
  test::put(folder / "text.png", "not a picture");
  EXPECT_THAT(error_of([&] { read_picture(folder / "text.png", 3); }),
              HasSubstr("expected a PNG, JPEG, WebP, TIFF or BMP"));
  EXPECT_THAT(error_of([&] { read_picture(folder / "none.png", 3); }), HasSubstr("none.png"));
  EXPECT_THAT(error_of([&] { write_png("/nowhere/a.png", noise(1, 2, 2)); }), HasSubstr("/nowhere/a.png"));
}

TEST(Grid, IsAtLeast512WideAndEnlargesByWholeFactors) {
  const torch::Tensor sheet = grid(torch::zeros({10, 1, 28, 28}));  // 4 columns, 3 rows, factor 5
  EXPECT_EQ(sheet.sizes(), (std::vector<int64_t>{1, 3 * 142 + 2, 4 * 142 + 2}));
  const torch::Tensor large = grid(torch::zeros({2, 3, 600, 700}), 2);
  EXPECT_EQ(large.sizes(), (std::vector<int64_t>{3, 604, 1406}));
  for (int64_t columns : {1, 3, 8, 100})
    EXPECT_GE(grid(torch::zeros({6, 1, 7, 5}), columns).size(2), columns == 100 ? 500 : 512) << columns;
}

TEST(Grid, ShowsMinusOneBlackAndOneWhite) {
  const torch::Tensor sheet =
      grid(torch::stack({torch::full({1, 600, 600}, -1.0), torch::full({1, 600, 600}, 1.0)}), 2);
  EXPECT_EQ(sheet[0][300][300].item<int>(), 0);
  EXPECT_EQ(sheet[0][300][900].item<int>(), 255);
}

TEST(Scatter, DrawsBothSetsAndIgnoresWhatIsFarOutside) {
  const torch::Tensor real = torch::tensor(std::vector<float>{-1, 0, 1, 0}).view({2, 2}),
                      fake = torch::tensor(std::vector<float>{0, 0, 1e9, 0}).view({2, 2});
  const torch::Tensor picture = scatter(real, fake, 128);
  EXPECT_EQ(picture.sizes(), (std::vector<int64_t>{3, 128, 128}));
  const auto spread = [&](int64_t x) {
    const torch::Tensor pixel = picture.select(1, 64).select(1, x).to(torch::kInt);
    return (pixel.max() - pixel.min()).item<int>();
  };
  EXPECT_GT(spread(64), 20);      // the fake is coloured
  EXPECT_EQ(spread(64 - 49), 0);  // a real one is grey
  EXPECT_LT(picture[0][64][64 - 49].item<int>(), 255);
}

TEST(Fit, CropsTheMiddleAndKeepsTheMean) {
  torch::Tensor wide = torch::zeros({1, 10, 30}, torch::kByte);
  wide.narrow(2, 10, 10).fill_(200);
  const torch::Tensor square =
      fit(wide, {.channels = 3, .size = {5, 5}, .filter = "bilinear", .crop = "center"});
  EXPECT_EQ(square.sizes(), (std::vector<int64_t>{3, 5, 5}));
  EXPECT_TRUE((square == 200).all().item<bool>());
}

TEST(Picture, RefusesAnimatedPngAsOtherAnimations) {
  const std::string still = encode_png(noise(3, 4, 5));
  constexpr size_t kPixels = 8 + 25;  // behind the signature and the head
  const auto with = [&](uint64_t frames) {
    return std::string(still).insert(
        kPixels, test::png_chunk("acTL", test::big_endian(frames, 4) + test::big_endian(0, 4)));
  };
  EXPECT_THAT(error_of([&] { decode_picture("x", with(7)); }), HasSubstr("x: an animated PNG of 7 frames"));
  EXPECT_THAT(error_of([&] { picture_info("x", with(7)); }), HasSubstr("an animated PNG of 7 frames"));
  EXPECT_EQ(error_of([&] { decode_picture("x", with(1)); }), "");
}

TEST(Picture, NamesTheColoursOfTiffThatAreNotRead) {
  const Folder folder;
  for (const auto& [kind, name] :
       {std::pair{PHOTOMETRIC_YCBCR, "YCbCr"}, {PHOTOMETRIC_CIELAB, "CIE L*a*b*"}}) {
    const auto tag = [kind = kind](TIFF* tiff) { TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, kind); };
    test::write_tiff(folder / "a.tif", {{noise(3, 4, 6), tag}});
    EXPECT_THAT(error_of([&] { read_picture(folder / "a.tif", 3); }),
                HasSubstr(std::string("(") + name + ")"));
  }
}

}  // namespace
}  // namespace saddle
