#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zip.h>

#include <cstring>

#include "data/pack/arrays/npy_header.h"
#include "data/pack/pack.h"
#include "tests/data/arrays.h"
#include "tests/data/folder.h"

namespace saddle {
namespace {

using test::all;
using test::counted;
using test::error_of;
using test::Folder;
using test::golden;
using test::npy;
using test::numbers;
using test::open;
using test::same;
using test::values;
using testing::AllOf;
using testing::HasSubstr;

std::string big_endian(std::string data, size_t width) {
  for (size_t at = 0; at < data.size(); at += width)
    std::reverse(data.begin() + int64_t(at), data.begin() + int64_t(at + width));
  return data;
}

TEST(PackNpy, ReadsEveryVersion) {
  for (int version : {1, 2, 3}) {
    const Source source = open(golden(fmt::format("version{}.npy", version)));
    EXPECT_EQ(describe(source.schema), "x float32 [3]");
    EXPECT_FALSE(source.serial);
    EXPECT_TRUE(same(all(source, "x"), counted({5, 3})));
  }
}

TEST(PackNpy, ReadsFortranOrder) {
  const Source source = open(golden("fortran.npy"));
  EXPECT_EQ(describe(source.schema), "image uint8 [4, 2, 3]");
  EXPECT_TRUE(same(all(source, "image"), counted({5, 2, 3, 4}).permute({0, 3, 1, 2})));
  const Source kept = open(golden("fortran.npy"), "none");
  EXPECT_EQ(describe(kept.schema), "x int16 [2, 3, 4]");
  EXPECT_TRUE(same(all(kept, "x"), counted({5, 2, 3, 4})));
  const Source packed = open(golden("fortran.npz"));
  EXPECT_EQ(describe(packed.schema), "image uint8 [3, 4, 5]");
  EXPECT_TRUE(same(all(packed, "image"), counted({6, 3, 4, 5})));
}

TEST(PackNpy, ReadsArchivesStoredOrDeflated) {
  for (const char* name : {"stored.npz", "deflated.npz"}) {
    const Source source = open(golden(name));
    EXPECT_EQ(describe(source.schema), "image uint8 [3, 7, 5], label int64 [] of 3 classes");
    EXPECT_TRUE(same(all(source, "image"), counted({6, 7, 5, 3}).permute({0, 3, 1, 2})));
    EXPECT_TRUE(same(all(source, "label"), torch::arange(6).remainder(3)));
    EXPECT_EQ(source.label(5), 2);
    EXPECT_TRUE(same(source.sample(1)["image"][0][2], counted({6, 7, 5, 3})[1].select(2, 2)));  // back again
  }
}

struct Case {
  const char *descr, *field;
  std::string data;
};

TEST(PackNpy, KeepsTheNumbersOfEveryType) {
  const Folder folder;
  const std::vector<Case> cases{
      {"|u1", "uint8", numbers<uint8_t>(6)},     {"|i1", "int8", numbers<int8_t>(6)},
      {"<u2", "int32", numbers<uint16_t>(6)},    {"<i2", "int16", numbers<int16_t>(6)},
      {"<u4", "int64", numbers<uint32_t>(6)},    {"<i4", "int32", numbers<int32_t>(6)},
      {"<u8", "int64", numbers<uint64_t>(6)},    {"<i8", "int64", numbers<int64_t>(6)},
      {"<f2", "float16", numbers<c10::Half>(6)}, {"<f4", "float32", numbers<float>(6)},
      {"<f8", "float64", numbers<double>(6)}};
  for (Case each : cases) {
    const size_t width = each.data.size() / 6;
    test::put(folder / "a.npy", npy(each.descr, "(3, 2, 1)", each.data));
    const Source source = open(folder / "a.npy", "none");
    EXPECT_EQ(describe(source.schema), fmt::format("x {} [2, 1]", each.field));
    EXPECT_TRUE(same(all(source, "x").flatten(), torch::arange(6))) << each.descr;
    std::string descr = each.descr;
    if (width > 1) descr[0] = '>';
    test::put(folder / "a.npy", npy(descr, "(3, 2, 1)", big_endian(each.data, width)));
    EXPECT_TRUE(same(all(open(folder / "a.npy", "none"), "x").flatten(), torch::arange(6))) << descr;
  }
}

TEST(PackNpy, TakesBoolsForBlackAndWhite) {
  const Folder folder;
  test::put(folder / "a.npy", npy("|b1", "(2, 1, 2)", std::string("\1\0\0\1", 4)));
  EXPECT_TRUE(same(all(open(folder / "a.npy"), "image").flatten(), torch::tensor({255, 0, 0, 255})));
  test::put(folder / "a.npy", npy("|b1", "(2, 2)", std::string("\1\0\0\1", 4)));
  EXPECT_EQ(describe(open(folder / "a.npy").schema), "x float32 [2]");
}

torch::Tensor images_of(const std::string& path, const std::string& range = "") {
  return all(open_source({.source = path, .out = "", .range = range}), "image").flatten().to(torch::kLong);
}

TEST(PackNpy, ScalesPicturesOfAnyNumbers) {
  const Folder folder;
  const std::string path = folder / "a.npy";
  test::put(path, npy("<f4", "(1, 2, 2)", values<float>({-1, 0, 0.5, 1})));
  EXPECT_EQ(describe(open(path).schema), "image uint16 [1, 2, 2]");
  EXPECT_TRUE(same(images_of(path), torch::tensor({0, 32768, 49151, 65535})));
  test::put(path, npy("<f8", "(1, 2, 2)", values<double>({0, 0.25, 0.5, 1})));
  EXPECT_THAT(error_of([&] { open(path); }), AllOf(HasSubstr("found 0 to 1"), HasSubstr("--range 0:1")));
  EXPECT_TRUE(same(images_of(path, "0:1"), torch::tensor({0, 16384, 32768, 65535})));
  EXPECT_TRUE(same(images_of(path, "0:0.5"), torch::tensor({0, 32768, 65535, 65535})));
  test::put(path, npy("<i8", "(1, 2, 2)", values<int64_t>({0, 7, 128, 255})));
  EXPECT_EQ(describe(open(path).schema), "image uint8 [1, 2, 2]");
  EXPECT_TRUE(same(images_of(path), torch::tensor({0, 7, 128, 255})));
  test::put(path, npy("<i4", "(1, 2, 2)", values<int32_t>({-1000, 0, 1000, 3000})));
  EXPECT_THAT(error_of([&] { open(path); }), HasSubstr("found -1000 to 3000"));
  EXPECT_TRUE(same(images_of(path, "-1000:3000"), torch::tensor({0, 16384, 32768, 65535})));
  for (const auto& [descr, bytes] :
       {std::pair{"|u1", values<uint8_t>({0, 1, 1, 0})}, std::pair{"<u4", values<uint32_t>({0, 1, 1, 0})}}) {
    test::put(path, npy(descr, "(1, 2, 2)", bytes));
    EXPECT_THAT(error_of([&] { open(path); }), HasSubstr("found 0 to 1")) << descr;
    EXPECT_EQ(describe(open_source({.source = path, .out = "", .range = "0:1"}).schema),
              "image uint8 [1, 2, 2]");
    EXPECT_TRUE(same(images_of(path, "0:1"), torch::tensor({0, 255, 255, 0}))) << descr;
  }
  test::put(path, npy("<u2", "(1, 2, 2)", values<uint16_t>({0, 5, 900, 4095})));
  EXPECT_THAT(error_of([&] { open(path); }), HasSubstr("found 0 to 4095"));
  EXPECT_TRUE(same(images_of(path, "0:65535"), torch::tensor({0, 5, 900, 4095})));
  EXPECT_THAT(error_of([&] { open_source({.source = path, .out = "", .range = "1"}); }),
              HasSubstr("LOW:HIGH"));
}

TEST(PackNpy, AsksWhetherNumbersArePictures) {
  const Folder folder;
  const std::string path = folder / "a.npy", data = values<float>({-1, 1, 0, 0, 0, 0});
  test::put(path, npy("<f4", "(1, 2, 3)", data));
  EXPECT_THAT(error_of([&] { open(path); }), AllOf(HasSubstr("--axes NHW"), HasSubstr("--axes none")));
  EXPECT_EQ(describe(open(path, "NHW").schema), "image uint16 [1, 2, 3]");
  EXPECT_EQ(describe(open(path, "none").schema), "x float32 [2, 3]");
  test::put(path, npy("|u1", "(2, 8, 3)", values<uint8_t>(std::vector<double>(48, 7))));
  EXPECT_THAT(error_of([&] { open(path); }), HasSubstr("or one picture in colour; pass --axes NHW"));
  EXPECT_EQ(describe(open(path, "NHW").schema), "image uint8 [1, 8, 3]");
  test::put(path, npy("<f4", "(1, 1, 3, 2)", data));
  EXPECT_EQ(describe(open(path).schema), "image uint16 [1, 3, 2]");
  EXPECT_THAT(error_of([&] { open(path, "NHW"); }), HasSubstr("--axes NHW"));
}

TEST(PackNpy, TakesOneNumberASampleForFeaturesButNotLabels) {
  const Folder folder;
  test::put(folder / "a.npy", npy("<f8", "(3,)", numbers<double>(3)));
  EXPECT_EQ(describe(open(folder / "a.npy").schema), "x float32 [1]");
  test::put(folder / "a.npy", npy("<i8", "(3, 2)", numbers<int64_t>(6)));
  EXPECT_EQ(describe(open(folder / "a.npy").schema), "x float32 [2]");
  test::put(folder / "a.npy", npy("<i8", "(3,)", numbers<int64_t>(3)));
  EXPECT_THAT(error_of([&] { open(folder / "a.npy"); }), HasSubstr("found only labels: int64 [3]"));
}

TEST(PackNpy, FindsLabelsBesideIt) {
  const Folder folder;
  test::put(folder / "faces.npy", npy("<f8", "(3, 2)", numbers<double>(6)));
  test::put(folder / "labels.npy", npy("<i4", "(3,)", numbers<int32_t>(3)));
  EXPECT_EQ(describe(open(folder / "faces.npy").schema), "x float32 [2], label int64 [] of 3 classes");
  test::put(folder / "faces_labels.npy", npy("|u1", "(3L, 1L)", std::string(3, '\6')));
  EXPECT_EQ(describe(open(folder / "faces.npy").schema), "x float32 [2], label int64 [] of 7 classes");
  test::put(folder / "faces_labels.npy", npy("|u1", "(2,)", "\1\2"));
  EXPECT_THAT(error_of([&] { open(folder / "faces.npy"); }),
              AllOf(HasSubstr("faces_labels.npy: expected 3 labels"), HasSubstr("found 2")));
  test::put(folder / "faces_labels.npy", npy("|i1", "(3,)", "\1\xff\2"));
  EXPECT_THAT(error_of([&] { open(folder / "faces.npy"); }), HasSubstr("found -1 at 1"));
}

TEST(PackNpy, AsksForTheAxesThatItCannotTell) {
  const Folder folder;
  test::put(folder / "a.npy", npy("|u1", "(2, 3, 2, 3)", numbers<uint8_t>(36)));
  EXPECT_THAT(error_of([&] { open(folder / "a.npy"); }), HasSubstr("--axes NCHW or --axes NHWC"));
  EXPECT_TRUE(same(all(open(folder / "a.npy", "NCHW"), "image"), counted({2, 3, 2, 3})));
  EXPECT_TRUE(
      same(all(open(folder / "a.npy", "NHWC"), "image"), counted({2, 3, 2, 3}).permute({0, 3, 1, 2})));
  test::put(folder / "a.npy", npy("|u1", "(2, 2, 3, 3)", numbers<uint8_t>(36)));
  EXPECT_EQ(describe(open(folder / "a.npy").schema), "image uint8 [3, 2, 3]");
  EXPECT_EQ(describe(open(folder / "a.npy", "NCHW").schema), "image uint8 [2, 3, 3]");
}

TEST(PackNpy, FitsPictures) {
  const Folder folder;
  test::put(folder / "a.npy", npy("|u1", "(2, 4, 4)", std::string(32, '\x40')));
  const Source source =
      open_source({.source = folder / "a.npy", .out = "", .size = ImageSize{2, 3}, .channels = 3});
  EXPECT_EQ(describe(source.schema), "image uint8 [3, 2, 3]");
  EXPECT_TRUE(all(source, "image").eq(0x40).all().item<bool>());
}

TEST(PackNpy, RefusesFlagsOfPicturesWithoutThem) {
  EXPECT_THAT(
      error_of([] {
        open_source({.source = golden("version1.npy"), .out = "", .given = {{"size", ""}}, .size = {{2, 2}}});
      }),
      AllOf(HasSubstr("--size"), HasSubstr("float32 [5, 3]")));
  EXPECT_THAT(
      error_of([] {
        open_source({.source = golden("stored.npz"), .out = "", .given = {{"split", ""}}, .split = "test"});
      }),
      HasSubstr("has no part test"));
}

TEST(PackNpy, NamesWhatIsDamaged) {
  const Folder folder;
  const std::string path = folder / "a.npy", good = npy("<f4", "(3, 2)", numbers<float>(6));
  const std::vector<std::pair<std::string, const char*>> cases{
      {good.substr(0, 4), "cut off"},
      {good.substr(0, good.size() - 1), "more than it can hold"},
      {good + "x", "expected 24 bytes of numbers, found 25"},
      {"plain text, no array", "another kind of file"},
      {npy("<f4", "(3000000000, 3000000000, 3)", ""), "more than it can hold"},
      {npy("<f4", "(3, 0)", ""), "extents is zero"},
      {npy("<f4", "(-3,)", ""), "expected an extent"},
      {npy("<f4", "()", "1234"), "a single number"},
      {npy("|O", "(3, 2)", ""), "found dtype |O"},
      {npy("<f4', 'descr': '<f4", "(3, 2)", ""), "each key once"},
      {npy("<f4", "(3, 2)}", ""), "nothing after the dictionary"},
      {npy("<f4", "(3, 2", ""), "damaged NumPy header"}};
  for (const auto& [bytes, message] : cases) {
    test::put(path, bytes);
    EXPECT_THAT(error_of([&] { open(path); }), AllOf(HasSubstr(path), HasSubstr(message)));
  }
  test::put(path, npy("<f8", "(2, 1)", numbers<double>(1) + std::string("\0\0\0\0\0\0\xf0\x7f", 8)));
  const Source source = open(path);
  EXPECT_THAT(error_of([&] { all(source, "x"); }), HasSubstr("not finite"));
}

TEST(PackNpy, NeverCrashesOnACutOrFlippedHeader) {
  const Folder folder;
  const std::string path = folder / "a.npy", good = npy("<f4", "(3, 2)", numbers<float>(6));
  for (size_t at = 0; at < good.size(); ++at)
    for (const char flip : {'\1', '\x40', '\xff'}) {
      std::string bad = good;
      bad[at] = char(bad[at] ^ flip);
      test::put(path, bad);
      try {
        all(open(path), "x");
      } catch (const Error& error) {
        EXPECT_TRUE(error.kind == Exit::data || error.kind == Exit::bug) << error.what();
      }
    }
}

void put_zip(const std::string& path, const std::vector<std::pair<std::string, std::string>>& files) {
  zip_t* zip = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  for (const auto& [name, bytes] : files)
    zip_file_add(zip, name.c_str(), zip_source_buffer(zip, bytes.data(), bytes.size(), 0), ZIP_FL_ENC_UTF_8);
  ASSERT_EQ(zip_close(zip), 0);
}

TEST(PackNpz, ChoosesThePartThatIsAskedFor) {
  const Folder folder;
  put_zip(folder / "a.npz", {{"x_train.npy", npy("|u1", "(3, 2, 2)", numbers<uint8_t>(12))},
                             {"y_train.npy", npy("<i8", "(3,)", numbers<int64_t>(3))},
                             {"x_test.npy", npy("|u1", "(2, 2, 2)", numbers<uint8_t>(8))},
                             {"y_test.npy", npy("<i8", "(2,)", numbers<int64_t>(2))}});
  EXPECT_EQ(open(folder / "a.npz").count, 3);
  const Source test = open_source({.source = folder / "a.npz", .out = "", .split = "test"});
  EXPECT_EQ(test.count, 2);
  EXPECT_EQ(describe(test.schema), "image uint8 [1, 2, 2], label int64 [] of 2 classes");
  EXPECT_THAT(error_of([&] { open_source({.source = folder / "a.npz", .out = "", .split = "val"}); }),
              AllOf(HasSubstr("has no part"), HasSubstr("train, test")));
}

TEST(PackNpz, TrainsOnPicturesNeverOnLabels) {
  const Folder folder;
  const auto schema = [&](const std::string& x, const std::string& y) {
    put_zip(folder / "a.npz", {{"X.npy", x}, {"y.npy", y}});
    return describe(open(folder / "a.npz").schema);
  };
  const std::string labels = npy("<u8", "(3,)", numbers<uint64_t>(3));
  const std::string floats = npy("<f4", "(3, 2, 2)", values<float>({-1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(schema(floats, labels), "image uint16 [1, 2, 2], label int64 [] of 3 classes");
  EXPECT_EQ(schema(npy("<i8", "(3, 2, 2)", numbers<int64_t>(12)), labels),
            "image uint8 [1, 2, 2], label int64 [] of 3 classes");
  EXPECT_EQ(schema(npy("<i8", "(3, 4)", numbers<int64_t>(12)), npy("|b1", "(3,)", std::string("\0\1\1", 3))),
            "x float32 [4], label int64 [] of 2 classes");
  EXPECT_EQ(schema(npy("<f4", "(3, 4)", numbers<float>(12)), labels),
            "x float32 [4], label int64 [] of 3 classes");
  EXPECT_EQ(
      schema(npy("|u1", "(3, 2, 2, 1)", numbers<uint8_t>(12)), npy("<i4", "(3, 2, 2)", numbers<int32_t>(12))),
      "image uint8 [1, 2, 2], mask int32 [1, 2, 2]");
  put_zip(folder / "a.npz", {{"x.npy", npy("<f4", "(3, 2)", numbers<float>(6))}, {"grid.npy", floats}});
  EXPECT_EQ(describe(open(folder / "a.npz").schema), "x float32 [2], grid float32 [2, 2]");
  put_zip(folder / "a.npz", {{"y.npy", labels}});
  EXPECT_THAT(error_of([&] { open(folder / "a.npz"); }), HasSubstr("found only labels"));
}

TEST(PackNpz, ResizesMapsAsTheirPictures) {
  const Folder folder;
  put_zip(folder / "a.npz", {{"images.npy", npy("|u1", "(1, 2, 2)", numbers<uint8_t>(4))},
                             {"label.npy", npy("<i8", "(1, 2, 2)", values<int64_t>({0, 300, 7, 8}))}});
  const Source source = open_source({.source = folder / "a.npz", .out = "", .size = ImageSize{4, 4}});
  EXPECT_EQ(describe(source.schema), "image uint8 [1, 4, 4], mask int32 [1, 4, 4]");
  EXPECT_TRUE(same(all(source, "mask")[0][0][0], torch::tensor({0, 0, 300, 300})));
}

TEST(PackNpz, LeavesOutWhatIsNoArrayOfSamples) {
  const Folder folder;
  std::string records = npy("<f4", "(3,)", numbers<float>(6));
  const std::string type = "'<f4'", of_records = "[('a', '<f4'), ('b', '<i4', (2,))]";
  records.replace(records.find(type), type.size(), of_records);
  records[8] = char(records[8] + int(of_records.size() - type.size()));
  put_zip(folder / "a.npz", {{"x.npy", npy("<f4", "(3, 2)", numbers<float>(6))},
                             {"empty.npy", npy("<f4", "(0, 2)", "")},
                             {"records.npy", records}});
  EXPECT_EQ(describe(open(folder / "a.npz").schema), "x float32 [2]");
}

TEST(PackNpz, RefusesTwoArraysOfOneName) {
  const Folder folder;
  put_zip(folder / "a.npz", {{"x_train.npy", npy("<f4", "(3, 2)", numbers<float>(6))},
                             {"train/x.npy", npy("<f4", "(3, 3)", numbers<float>(9))}});
  EXPECT_THAT(error_of([&] { open(folder / "a.npz"); }),
              AllOf(HasSubstr("x_train.npy, float32 [3, 2]"), HasSubstr("train/x.npy, float32 [3, 3]")));
}

TEST(PackNpz, KeepsOtherArraysOfTheSameLength) {
  const Folder folder;
  put_zip(folder / "a.npz", {{"angle.npy", npy("<f8", "(3,)", numbers<double>(3))},
                             {"mean.npy", npy("<f8", "(4,)", numbers<double>(4))},
                             {"b/box.npy", npy("<i2", "(3, 4)", numbers<int16_t>(12))},
                             {"code.npy", npy("<f4", "(3, 2)", numbers<float>(6))},
                             {"readme.txt", "no array"}});
  const Source source = open(folder / "a.npz");
  EXPECT_EQ(describe(source.schema), "x float32 [2], angle float64 [], b_box int16 [4]");
  EXPECT_TRUE(same(all(source, "b_box"), counted({3, 4})));
}

TEST(PackNpz, NamesADamagedMember) {
  const Folder folder;
  std::string bytes = read_file(golden("stored.npz"));
  bytes[300] = char(bytes[300] ^ 1);  // in the pictures: only the checksum tells
  test::put(folder / "a.npz", bytes);
  const Source source = open(folder / "a.npz");
  EXPECT_THAT(error_of([&] { all(source, "image"); }), AllOf(HasSubstr("images.npy"), HasSubstr("CRC")));
  test::put(folder / "a.npz", bytes.substr(0, bytes.size() - 30));
  EXPECT_THAT(error_of([&] { open(folder / "a.npz"); }), HasSubstr("cannot open as a ZIP archive"));
}

TEST(PackNpz, NeverCrashesOnFlippedBytes) {
  const Folder folder;
  const std::string good = read_file(golden("fortran.npz"));
  for (size_t at = 0; at < good.size(); at += 3) {
    std::string bad = good;
    bad[at] = char(bad[at] ^ 0xff);
    test::put(folder / "a.npz", bad);
    error_of([&] { all(open(folder / "a.npz"), "image"); });
  }
}

}  // namespace
}  // namespace saddle
