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
using testing::HasSubstr;
using testing::Not;

void put_png(const std::string& path, const torch::Tensor& picture) {
  test::put(path, encode_png(picture));
}

torch::Tensor plain(int value, int64_t channels = 3, int64_t height = 8, int64_t width = 8) {
  return torch::full({channels, height, width}, value, torch::kByte);
}

TEST(PackPairs, MatchesNamesWhateverTheirEndings) {
  const Folder folder;
  test::Contents partners;
  for (int i = 0; i < 5; ++i) {
    put_png(folder / fmt::format("a/x/{}.PNG", i), plain(10 * i));
    partners.emplace_back(fmt::format("x/{}.png", 4 - i), encode_png(plain(200 + 4 - i, 1)));
  }
  partners.emplace_back("readme.txt", "not a picture");
  test::put_zip(folder / "b.zip", partners);
  const Source source = open_source({.source = folder / "a", .pair = folder / "b.zip"});
  EXPECT_EQ(describe(source.schema), "a uint8 [3, 8, 8], b uint8 [1, 8, 8]");
  for (int i = 0; i < 5; ++i) {
    const Batch found = source.sample(i);
    EXPECT_TRUE(found["a"][0].equal(plain(10 * i)));
    EXPECT_TRUE(found["b"][0].equal(plain(200 + i, 1)));
  }
}

TEST(PackPairs, NamesThoseWithoutAPartner) {
  const Folder folder;
  for (const char* name : {"a/1.png", "a/2.png", "b/1.png", "b/2.png", "b/3.png"})
    put_png(folder / name, plain(1));
  const PackRequest request{.source = folder / "a", .pair = folder / "b"};
  EXPECT_THAT(error_of([&] { open_source(request); }), AllOf(HasSubstr("3.png"), HasSubstr("1 of 3")));
  for (int i = 10; i < 30; ++i) put_png(folder / fmt::format("a/{}.png", i), plain(1));
  EXPECT_THAT(error_of([&] { open_source(request); }),
              AllOf(HasSubstr("20 of 22"), HasSubstr("10.png"), HasSubstr("..."), Not(HasSubstr("29.png"))));
  put_png(folder / "b/1.jpg", plain(1));
  EXPECT_THAT(error_of([&] { open_source(request); }), HasSubstr("which is meant?"));
}

TEST(PackPairs, CropsBothAlike) {
  const Folder folder;
  torch::Tensor wide = plain(0, 3, 8, 24);
  wide.narrow(2, 8, 8).fill_(90);
  put_png(folder / "a/1.png", wide);
  put_png(folder / "b/1.png",
          wide.narrow(0, 0, 1).repeat_interleave(2, 1).repeat_interleave(2, 2).contiguous());
  const PackRequest request{.source = folder / "a", .size = ImageSize{4, 4}, .pair = folder / "b"};
  const Batch found = open_source(request).sample(0);
  EXPECT_TRUE(found["a"][0].equal(plain(90, 3, 4, 4)));
  EXPECT_TRUE(found["b"][0].equal(plain(90, 1, 4, 4)));
  put_png(folder / "b/1.png", plain(1, 1, 8, 20));
  const Source uneven = open_source(request);
  EXPECT_THAT(error_of([&] { uneven.sample(0); }), AllOf(HasSubstr("8x20"), HasSubstr("8x24")));
}

TEST(PackPairs, DeriveGreysAndSmallerOnes) {
  const Folder folder;
  torch::Tensor picture = plain(100, 3, 8, 16);
  picture[0].narrow(1, 0, 8).fill_(200);
  put_png(folder / "1.png", picture);
  const auto derived = [&](const std::string& how) {
    return open_source({.source = folder.path(), .derive = how}).sample(0);
  };
  EXPECT_TRUE(derived("grey")["a"][0].equal(picture));
  EXPECT_EQ(derived("grey")["b"].sizes(), (std::vector<int64_t>{1, 1, 8, 16}));
  EXPECT_EQ(derived("grey")["b"][0][0][0][0].item<int>(), 130);
  const torch::Tensor small = derived("down4")["b"][0];
  EXPECT_TRUE(small.equal(resize(picture, {2, 4}, "bilinear")));
  EXPECT_EQ(derived("down8")["b"].sizes(), (std::vector<int64_t>{1, 3, 1, 2}));
  EXPECT_THAT(error_of([&] { derived("down16"); }), HasSubstr("down8"));
  EXPECT_THAT(error_of([&] {
                open_source({.source = folder.path(), .size = ImageSize{9, 8}, .derive = "down2"});
              }),
              HasSubstr("multiples of 2"));
  EXPECT_THAT(
      error_of([&] { open_source({.source = folder.path(), .pair = folder.path(), .derive = "grey"}); }),
      HasSubstr("one of them"));
}

TEST(PackPairs, DeriveEdges) {
  const Folder folder;
  torch::Tensor picture = plain(0, 1, 9, 9);
  picture.narrow(2, 5, 4).fill_(255);
  put_png(folder / "1.png", picture);
  const torch::Tensor b = open_source({.source = folder.path(), .derive = "edges"}).sample(0)["b"][0][0];
  torch::Tensor expected = torch::zeros({9, 9}, torch::kByte);
  expected.narrow(1, 4, 2).fill_(255);
  EXPECT_TRUE(b.equal(expected));
  put_png(folder / "1.png", picture.transpose(1, 2).contiguous());
  const torch::Tensor turned = open_source({.source = folder.path(), .derive = "edges"}).sample(0)["b"][0][0];
  EXPECT_TRUE(turned.equal(expected.t()));
}

}  // namespace
}  // namespace saddle
