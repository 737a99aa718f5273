#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

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

torch::Tensor ramp(int64_t channels, int64_t height, int64_t width, torch::ScalarType dtype = torch::kByte) {
  return torch::arange(channels * height * width)
      .mul(dtype == torch::kByte ? 7 : 321)
      .remainder(dtype == torch::kByte ? 256 : 65536)
      .reshape({channels, height, width})
      .to(dtype);
}

void put_png(const std::string& path, const torch::Tensor& picture) {
  test::put(path, encode_png(picture));
}

TEST(Picture, SurvivesPngOfEveryKind) {
  for (const auto dtype : {torch::kByte, torch::kUInt16})
    for (int64_t channels : {1, 2, 3, 4}) {
      const torch::Tensor picture = ramp(channels, 13, 21, dtype);
      const std::string bytes = encode_png(picture);
      EXPECT_TRUE(decode_picture("a", bytes).equal(picture)) << channels;
      EXPECT_EQ(picture_info("a", bytes), (PictureInfo{channels, 13, 21, dtype == torch::kByte ? 8 : 16}));
      EXPECT_EQ(picture_info("a", bytes.substr(0, 50)), picture_info("a", bytes));
    }
}

TEST(Fit, KeepsGreysAndMeansThroughEveryConversion) {
  for (int64_t from : {1, 2, 3, 4})
    for (int64_t to : {1, 3, 4})
      for (int64_t bits : {8, 16})
        for (const char* crop : {"center", "none", "pad"})
          for (const char* filter : {"box", "bilinear", "bicubic", "lanczos", "nearest"}) {
            torch::Tensor picture = torch::full({from, 7, 9}, 120, torch::kByte);
            if (from % 2 == 0) picture[from - 1].fill_(255);
            const torch::Tensor out = fit(picture, {.channels = to,
                                                    .size = {5, 4},
                                                    .bits = bits,
                                                    .filter = filter,
                                                    .crop = crop,
                                                    .background = {120, 120, 120}});
            EXPECT_EQ(out.sizes(), (std::vector<int64_t>{to, 5, 4}));
            EXPECT_EQ(out.scalar_type(), bits == 8 ? torch::kByte : torch::kUInt16);
            const int grey = bits == 8 ? 120 : 120 * 257;
            EXPECT_TRUE(
                (out.narrow(0, 0, std::min<int64_t>(to, 3)).to(torch::kInt) == grey).all().item<bool>())
                << from << to << bits << crop << filter;
          }
}

TEST(Fit, PutsTheBackgroundBehindAndAround) {
  torch::Tensor picture = torch::zeros({4, 4, 8}, torch::kByte);
  picture[0].fill_(200);
  picture[3].narrow(1, 4, 4).fill_(255);  // the right half is opaque red, the left clear
  const Fit how{.channels = 3, .size = {8, 8}, .filter = "box", .crop = "pad", .background = {10, 20, 30}};
  const torch::Tensor out = fit(picture, how);
  const auto pixel = [&](const torch::Tensor& from, int64_t y, int64_t x) {
    std::vector<int> values;
    for (int64_t c = 0; c < from.size(0); ++c) values.push_back(from[c][y][x].item<int>());
    return values;
  };
  EXPECT_THAT(pixel(out, 0, 0), ElementsAre(10, 20, 30));  // around
  EXPECT_THAT(pixel(out, 7, 7), ElementsAre(10, 20, 30));
  EXPECT_THAT(pixel(out, 4, 1), ElementsAre(10, 20, 30));  // behind
  EXPECT_THAT(pixel(out, 4, 6), ElementsAre(200, 0, 0));
  const torch::Tensor kept =
      fit(picture, {.channels = 4, .size = {2, 4}, .filter = "bilinear", .crop = "none"});
  EXPECT_THAT(pixel(kept, 0, 3), ElementsAre(200, 0, 0, 255));
  EXPECT_EQ(kept[0][0][2].item<int>(), 200);  // clear black has not darkened the edge
}

TEST(Fit, BringsBitsUpAndDown) {
  const torch::Tensor bytes = torch::arange(256).to(torch::kByte).reshape({1, 16, 16});
  const torch::Tensor wide = fit(bytes, {.channels = 1, .size = {16, 16}, .bits = 16});
  EXPECT_TRUE(wide.to(torch::kInt).equal(bytes.to(torch::kInt) * 257));
  EXPECT_TRUE(fit(wide, {.channels = 1, .size = {16, 16}}).equal(bytes));
}

TEST(Fit, RefusesWhatItDoesNotKnow) {
  const torch::Tensor picture = ramp(1, 4, 4);
  EXPECT_THAT(error_of([&] {
                fit(picture, {.channels = 1, .size = {2, 2}, .filter = "cubic"});
              }),
              HasSubstr("bicubic"));
  EXPECT_THAT(error_of([&] {
                fit(picture, {.channels = 1, .size = {2, 2}, .crop = "left"});
              }),
              HasSubstr("--crop"));
  for (const char* text : {"fff", "gggggg", "#ffffff", "-12345"})
    EXPECT_THAT(error_of([&] { parse_colour(text); }), HasSubstr(text));
  EXPECT_EQ(parse_colour("0a10Ff"), (std::array<uint8_t, 3>{10, 16, 255}));
}

// Six pictures of 6x8, alternately of two classes, whose values tell them apart.
struct Zoo {
  explicit Zoo(const torch::ScalarType dtype = torch::kByte) {
    for (int i = 0; i < 6; ++i) {
      const std::string name = fmt::format("{}/{}.png", i % 2 ? "cat" : "dog", i);
      const std::string bytes = encode_png(torch::full({3, 6, 8}, 40 * i, dtype));
      test::put(folder / ("zoo/" + name), bytes);
      contents.emplace_back("zoo/" + name, bytes);
    }
    test::put_zip(folder / "zoo.zip", contents);
  }
  Folder folder;
  test::Contents contents;
};

Batch sample(const PackRequest& request, int64_t i) {
  return open_source(request).sample(i);
}

TEST(PackPictures, TakesArchivesAsFolders) {
  const Zoo zoo;
  const Source a = open_source({.source = zoo.folder / "zoo"}),
               b = open_source({.source = zoo.folder / "zoo.zip"});
  EXPECT_EQ(describe(a.schema), "image uint8 [3, 6, 8], label int64 [] of 2 classes");
  EXPECT_EQ(a.schema, b.schema);
  ASSERT_EQ(a.count, 6);
  ASSERT_EQ(b.count, 6);
  for (int64_t i = 0; i < 6; ++i) {
    const Batch x = a.sample(i), y = b.sample(i);
    EXPECT_TRUE(x["image"].equal(y["image"]));
    EXPECT_EQ(x["label"].item<int64_t>(), i / 3);
    EXPECT_EQ(y["label"].item<int64_t>(), i / 3);
    EXPECT_EQ(a.label(i), i / 3);
  }
}

TEST(PackPictures, KeepsSixteenBits) {
  const Zoo zoo(torch::kUInt16);
  EXPECT_EQ(open_source({.source = zoo.folder / "zoo"}).schema["image"].dtype, torch::kUInt16);
  EXPECT_EQ(open_source({.source = zoo.folder / "zoo", .bits = 8}).schema["image"].dtype, torch::kByte);
  put_png(zoo.folder / "zoo/cat/x.png", ramp(3, 6, 8));  // not all have 16
  EXPECT_EQ(open_source({.source = zoo.folder / "zoo"}).schema["image"].dtype, torch::kByte);
  const Batch kept = sample({.source = zoo.folder / "zoo", .bits = 16}, 1);
  EXPECT_EQ(kept["image"][0][0][0][0].item<int>(), 120);
}

TEST(PackPictures, KeepsAlphaWhenAsked) {
  const Folder folder;
  torch::Tensor picture = torch::full({4, 4, 4}, 100, torch::kByte);
  picture[3].fill_(0);
  put_png(folder / "a.png", picture);
  EXPECT_TRUE(sample({.source = folder.path(), .channels = 4}, 0)["image"][0].equal(picture));
  const Batch blended = sample({.source = folder.path(), .background = "ff8000"}, 0);
  EXPECT_EQ(blended["image"].sizes(), (std::vector<int64_t>{1, 3, 4, 4}));
  EXPECT_EQ(blended["image"][0][1][2][2].item<int>(), 128);
}

TEST(PackPictures, CropMasksAsTheirPictures) {
  const Folder folder;
  for (const char* name : {"a/1.png", "b/2.png"})
    put_png(folder / (std::string("set/") + name), ramp(3, 20, 40));
  torch::Tensor mask = torch::zeros({1, 10, 20}, torch::kByte);  // smaller, but of the same shape
  mask.narrow(2, 5, 10).fill_(7);
  for (const char* name : {"a/1.png", "b/2.png", "b/3.png"})
    put_png(folder / (std::string("masks/") + name), mask);
  const PackRequest request{.source = folder / "set", .size = ImageSize{5, 5}, .mask = folder / "masks"};
  EXPECT_EQ(describe(open_source(request).schema),
            "image uint8 [3, 5, 5], label int64 [] of 2 classes, mask uint8 [1, 5, 5]");
  EXPECT_TRUE((sample(request, 1)["mask"] == 7).all().item<bool>());  // of the middle
  PackRequest whole = request;
  whole.crop = "none", whole.size = ImageSize{8, 16};
  EXPECT_EQ(sample(whole, 1)["mask"].to(torch::kLong).sum().item<int64_t>(),
            8 * 8 * 7);  // nothing in between

  put_png(folder / "masks/b/2.png", mask.narrow(2, 0, 9).contiguous());
  EXPECT_THAT(error_of([&] { sample(request, 1); }), AllOf(HasSubstr("10x9"), HasSubstr("masks/b/2.png")));
  std::filesystem::remove(folder / "masks/b/2.png");
  EXPECT_THAT(error_of([&] { open_source(request); }), AllOf(HasSubstr("b/2.png"), HasSubstr("1 of 2")));
}

TEST(PackPictures, TakeAttributesFromATable) {
  const Zoo zoo;
  test::put(zoo.folder / "table.csv",
            "file,age group,Smile,height,\"a \"\"quoted\"\", name\"\r\n"
            "0.png,old,1,1.5,x\r\n1.png,young,-1,2,\"x, y\"\r\n\r\n"
            "dog/2,young,1,-3e2,x\r\ncat/"
            "3.png,child,-1,0.25,x\r\n4,old,-1,4,x\r\n5.png,old,1,5,x\r\nnobody,old,1,5,x\r\n");
  const PackRequest request{.source = zoo.folder / "zoo", .attributes = zoo.folder / "table.csv"};
  const Source source = open_source(request);
  EXPECT_EQ(describe(source.schema),
            "image uint8 [3, 6, 8], label int64 [] of 2 classes, age_group int64 [] of 3 classes, Smile "
            "int64 [] of "
            "2 classes, height float32 [], a__quoted___name int64 [] of 2 classes");
  EXPECT_THAT(source.schema["age_group"].class_names, ElementsAre("child", "old", "young"));
  EXPECT_THAT(source.schema["Smile"].class_names, ElementsAre("-1", "1"));
  const std::vector<int> files{1, 3, 5, 0, 2, 4}, ages{2, 0, 1, 1, 2, 1}, smiles{0, 0, 1, 1, 1, 0};
  const std::vector<float> heights{2, 0.25, 5, 1.5, -300, 4};
  for (size_t i = 0; i < 6; ++i) {
    const Batch found = source.sample(int64_t(i));
    EXPECT_EQ(found["image"][0][0][0][0].item<int>(), 40 * files[i]);
    EXPECT_EQ(found["age_group"].item<int64_t>(), ages[i]);
    EXPECT_EQ(found["Smile"].item<int64_t>(), smiles[i]);
    EXPECT_EQ(found["height"].item<float>(), heights[i]);
    EXPECT_EQ(found["a__quoted___name"].item<int64_t>(), files[i] == 1);
    EXPECT_EQ(source.label(int64_t(i)), i >= 3);
  }
}

TEST(PackPictures, SayWhatIsWrongWithATable) {
  const Zoo zoo;
  const auto error = [&](const std::string& text) {
    test::put(zoo.folder / "t.csv", text);
    return error_of([&] { open_source({.source = zoo.folder / "zoo", .attributes = zoo.folder / "t.csv"}); });
  };
  const std::string rows = "0,1\n1,1\n2,1\n3,1\n4,1\n";
  EXPECT_EQ(error("file,x\n" + rows + "5,1"), "");
  EXPECT_THAT(error(""), HasSubstr("header"));
  EXPECT_THAT(error("file\n0\n"), HasSubstr("header"));
  EXPECT_THAT(error("file,\n0,1\n"), HasSubstr("no name"));
  EXPECT_THAT(error("file,x\n" + rows), HasSubstr("no row for cat/5.png"));
  EXPECT_THAT(error("file,x\n" + rows + "5,1,2\n"), AllOf(HasSubstr("line 7"), HasSubstr("found 3")));
  EXPECT_THAT(
      error("file,x\n" + rows + "4,2\n"),
      AllOf(HasSubstr("4 for the second time"), HasSubstr("line 6: 4 | 1"), HasSubstr("line 7: 4 | 2")));
  EXPECT_THAT(error("file,x\n" + rows + "5,1\n5.png,2\n"),
              AllOf(HasSubstr("two rows for cat/5.png"), HasSubstr("5 | 1"), HasSubstr("5.png | 2")));
  EXPECT_THAT(error("file,x,x\n0,1,2\n"), HasSubstr("columns 2 and 3 are both called x"));
  EXPECT_THAT(error("file,x\n" + rows + "5,\"1\n"), HasSubstr("does not end"));
  EXPECT_THAT(error("file,x\n" + rows + "5,\"1\"2\n"), HasSubstr("after a closing quote"));
  EXPECT_THAT(error("file,image\n" + rows + "5,1\n"), HasSubstr("two fields are named image"));
  std::string many = "file,x\n" + rows + "5,1\n";
  for (int i = 0; i < 300; ++i) many += fmt::format("other{0},text{0}\n", i);
  EXPECT_THAT(error(many), AllOf(HasSubstr("column x"), HasSubstr("256")));
  put_png(zoo.folder / "zoo/dog/1.png", ramp(3, 6, 8));  // two files that 1 may mean
  EXPECT_THAT(error("file,x\n" + rows + "5,1\n"), HasSubstr("may mean"));
}

TEST(PackPictures, TakeNoMissingValuesOrIdsForAttributes) {
  const Zoo zoo;
  const auto open = [&](const std::string& last, const std::string& rest = "0,1\n1,1\n2,2\n3,1\n4,2\n",
                        const std::string& column = "age") {
    test::put(zoo.folder / "t.csv", "file," + column + "\n" + rest + last);
    return open_source({.source = zoo.folder / "zoo", .attributes = zoo.folder / "t.csv"});
  };
  for (const char* missing : {"", "nan", "NA", "?"})
    EXPECT_THAT(error_of([&] { open(fmt::format("5,{}\n", missing)); }),
                AllOf(HasSubstr("line 7, column age"), HasSubstr("found none")))
        << missing;
  EXPECT_THAT(error_of([&] { open("5,big\n", "0,1.5\n1,1\n2,2\n3,1\n4,2\n"); }),
              HasSubstr("line 7, column age"));
  EXPECT_THAT(error_of([&] { open("5,f\n", "0,a\n1,b\n2,c\n3,d\n4,e\n"); }), HasSubstr("names or ids"));
  const Source ages = open("5,6\n", "0,1\n1,2\n2,3\n3,4\n4,5\n");
  EXPECT_EQ(ages.schema["age"].dtype, torch::kFloat);
  EXPECT_THAT(error_of([&] { open("5,6\n", "0,1\n1,2\n2,3\n3,4\n4,5\n", "label"); }),
              HasSubstr("no classes"));
  test::put(zoo.folder / "t.csv", "file;height\r0;1,5\r1;2\r2;2,5\r3;1\r4;1\r5;1\r");
  const Source decimals = open_source({.source = zoo.folder / "zoo", .attributes = zoo.folder / "t.csv"});
  EXPECT_EQ(decimals.schema["height"].dtype, torch::kFloat);
  EXPECT_THAT(
      error_of([&] {
        open_source({.source = zoo.folder / "zoo", .given = {{"decimal", "comma"}}, .decimal = "comma"});
      }),
      HasSubstr("--attributes"));
}

TEST(PackPictures, RefuseUnknownWords) {
  const Zoo zoo;
  const std::string source = zoo.folder / "zoo";
  EXPECT_THAT(error_of([&] { open_source({.source = source, .filter = "sharp"}); }), HasSubstr("--filter"));
  EXPECT_THAT(error_of([&] { open_source({.source = source, .crop = "left"}); }), HasSubstr("--crop"));
  EXPECT_THAT(error_of([&] { open_source({.source = source, .background = "red"}); }), HasSubstr("RRGGBB"));
  EXPECT_THAT(error_of([&] {
                open_source({.source = source, .size = ImageSize{1 << 20, 1 << 20}});
              }),
              HasSubstr("--size"));
}

TEST(PackPictures, AreReadByManyThreads) {
  const Zoo zoo;
  const Source source = open_source({.source = zoo.folder / "zoo.zip", .size = ImageSize{3, 3}});
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int64_t t = 0; t < 6; ++t)
    threads.emplace_back([&, t] {
      const int expected = 40 * int(t < 3 ? 2 * t + 1 : 2 * (t - 3));
      for (int k = 0; k < 30; ++k)
        wrong += !(source.sample(t)["image"].to(torch::kInt) == expected).all().item<bool>();
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace saddle
