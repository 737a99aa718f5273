#include "data/pack/pack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "data/dataset.h"
#include "data/store/shard_writer.h"
#include "data/view/picture.h"
#include "tests/data/folder.h"
#include "tests/support/small_disk.h"

namespace saddle {
namespace {

using test::error_of;
using test::Folder;
using testing::AllOf;
using testing::HasSubstr;

std::string idx(const std::vector<int>& extents, int64_t bytes) {
  std::string out{0, 0, 8, char(extents.size())};
  for (int extent : extents) out += {0, 0, char(extent >> 8), char(extent)};
  for (int64_t i = 0; i < bytes; ++i) out += char(i * 7 % 10);
  return out;
}

void put_gz(const std::string& path, const std::string& bytes) {
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), unsigned(bytes.size()));
  gzclose(file);
}

std::vector<int64_t> all(const Dataset& data) {
  std::vector<int64_t> out(static_cast<size_t>(data.size()));
  for (size_t i = 0; i < out.size(); ++i) out[i] = int64_t(i);
  return out;
}

Batch read_all(const std::string& folder) {
  const auto data = open_shards(folder);
  return data->read(all(*data));
}

TEST(PackIdx, ReadsPlainAndCompressedAlike) {
  const Folder plain, packed, a, b;
  test::put(plain / "train-images-idx3-ubyte", idx({20, 4, 3}, 240));
  test::put(plain / "train-labels-idx1-ubyte", idx({20}, 20));
  put_gz(packed / "train-images-idx3-ubyte.gz", idx({20, 4, 3}, 240));
  put_gz(packed / "train-labels-idx1-ubyte.gz", idx({20}, 20));
  const Packed one = pack({.source = plain.path(), .out = a.path()});
  const Packed two = pack({.source = packed / "train-images-idx3-ubyte.gz", .out = b.path()});
  EXPECT_EQ(describe(one.index.schema), "image uint8 [1, 4, 3], label int64 [] of 10 classes");
  EXPECT_EQ(one.index.fingerprint, two.index.fingerprint);
  const Batch found = read_all(a.path());
  EXPECT_EQ(found["image"][3][0][1][2].item<int>(), (3 * 12 + 5) * 7 % 10);
  EXPECT_EQ(found["label"][3].item<int>(), 21 % 10);
}

TEST(PackIdx, NamesWhatIsDamaged) {
  const Folder source, out;
  const std::string images = source / "train-images-idx3-ubyte";
  test::put(images, idx({20, 4, 3}, 200));
  EXPECT_THAT(error_of([&] { pack({.source = source.path(), .out = out.path()}); }),
              AllOf(HasSubstr("4 of 20 samples are damaged"), HasSubstr(images)));
  test::put(images, idx({20, 4, 3}, 241));
  EXPECT_THAT(error_of([&] { pack({.source = source.path(), .out = out.path()}); }),
              HasSubstr("longer than its header"));
  test::put(images, "no idx at all");
  EXPECT_THAT(error_of([&] { pack({.source = source.path(), .out = out.path()}); }),
              HasSubstr("expected an IDX file"));
  EXPECT_TRUE(std::filesystem::is_empty(out.path()));
}

TEST(PackIdx, SaysWhichPartIsThere) {
  const Folder folder;
  test::put(folder / "t10k-images-idx3-ubyte", idx({20, 4, 3}, 240));
  EXPECT_THAT(error_of([&] { open_source({.source = folder.path()}); }),
              HasSubstr("only of test; pass --split test"));
  test::put(folder / "plain", idx({20, 4, 3}, 240));  // not named as one, but asked for
  EXPECT_EQ(open_source({.source = folder / "plain", .as = "idx"}).count, 20);
}

TEST(PackIdx, ReadsNumbersOfEveryType) {
  const Folder folder;
  const std::string path = folder / "a-idx", extents{0, 0, 0, 2, 0, 0, 0, 3};  // [2, 3]
  const auto open = [&](int type, const std::string& data) {
    test::put(path, std::string{0, 0, char(type), 2} + extents + data);
    return open_source({.source = path, .out = ""});
  };
  const auto twice = [](const std::vector<std::string>& numbers) {  // both items alike
    std::string item;
    for (const std::string& number : numbers) item += number;
    return item + item;
  };
  using std::string;
  const std::vector<std::tuple<int, const char*, std::string>> cases{
      {0x09, "float32", twice({"\xff", "\x02", "\x7f"})},
      {0x0B, "float32", twice({"\xff\xff", string("\0\2", 2), string("\0\x7f", 2)})},
      {0x0C, "float32", twice({"\xff\xff\xff\xff", string("\0\0\0\2", 4), string("\0\0\0\x7f", 4)})},
      {0x0D, "float32",
       twice({string("\xbf\x80\0\0", 4), string("\x40\0\0\0", 4), string("\x42\xfe\0\0", 4)})},
      {0x0E, "float32",
       twice({string("\xbf\xf0\0\0\0\0\0\0", 8), string("\x40\0\0\0\0\0\0\0", 8),
              string("\x40\x5f\xc0\0\0\0\0\0", 8)})}};
  for (const auto& [type, dtype, data] : cases) {
    const Source source = open(type, data);
    EXPECT_EQ(describe(source.schema), fmt::format("x {} [3]", dtype));
    EXPECT_TRUE(
        source.sample(1)["x"].to(torch::kDouble).equal(torch::tensor({-1.0, 2.0, 127.0}).unsqueeze(0)))
        << dtype;
  }
  EXPECT_THAT(error_of([&] { open(0x0A, ""); }), HasSubstr("found type a"));
}

TEST(PackIdx, ReadsColourWhereverItsAxisIs) {
  const Folder folder;
  test::put(folder / "a-idx", idx({2, 3, 4, 5}, 120));
  test::put(folder / "b-idx", idx({2, 6, 5, 3}, 180));
  const Source first = open_source({.source = folder / "a-idx", .out = ""});
  const Source last = open_source({.source = folder / "b-idx", .out = ""});
  EXPECT_EQ(describe(first.schema), "image uint8 [3, 4, 5]");
  EXPECT_EQ(describe(last.schema), "image uint8 [3, 6, 5]");
  EXPECT_EQ(first.sample(1)["image"][0][2][3][4].item<int>(), 119 * 7 % 10);
  EXPECT_EQ(last.sample(1)["image"][0][1][5][4].item<int>(), 178 * 7 % 10);
}

TEST(PackIdx, NamesLabelsThatDoNotFit) {
  const Folder folder;
  test::put(folder / "train-images-idx3-ubyte", idx({20, 4, 3}, 240));
  test::put(folder / "train-labels-idx1-ubyte", idx({19}, 19));
  const auto message = [&] { return error_of([&] { open_source({.source = folder.path(), .out = ""}); }); };
  EXPECT_THAT(message(),
              AllOf(HasSubstr("train-labels-idx1-ubyte: expected 20 labels"), HasSubstr("found 19")));
  std::string minus_one("\0\0\x09\1\0\0\0\x14", 8);
  minus_one.append(19, '\1').push_back('\xff');
  test::put(folder / "train-labels-idx1-ubyte", minus_one);
  EXPECT_THAT(message(), HasSubstr("found -1 at 19"));
  test::put(folder / "train-labels-idx1-ubyte", std::string("\0\0\x08\1\xff\xff\xff\xff", 8));
  EXPECT_THAT(message(), HasSubstr("more than it can hold"));
}

// 3 pictures of each of 2 classes, 8x8.
struct Zoo {
  Zoo() {
    for (int i = 0; i < 6; ++i) {
      std::filesystem::create_directories(folder / (i % 2 ? "cat" : "dog"));
      write_png(name(i), torch::full({3, 8, 8}, 40 * i, torch::kByte));
    }
  }
  std::string name(int i) const { return folder / fmt::format("{}/{}.png", i % 2 ? "cat" : "dog", i); }
  void damage(int i) const { test::put(name(i), read_file(name(i)).substr(0, 60)); }
  Folder folder;
};

TEST(PackPictures, TakesSubFoldersAsClasses) {
  const Zoo zoo;
  const Folder out;
  const Packed packed = pack({.source = zoo.folder.path(), .out = out.path()});
  EXPECT_EQ(packed.index.schema["label"].class_names, (std::vector<std::string>{"cat", "dog"}));
  const Batch found = read_all(out.path());
  EXPECT_TRUE(found["label"].equal(torch::tensor({0, 0, 0, 1, 1, 1})));
  EXPECT_TRUE(found["image"].select(1, 0).select(1, 0).select(1, 0).equal(
      torch::tensor({40, 120, 200, 0, 80, 160}).to(torch::kByte)));
}

TEST(PackPictures, CountsDamagedFilesAndNamesThem) {
  const Zoo zoo;
  const Folder out;
  zoo.damage(1), zoo.damage(4);
  EXPECT_THAT(
      error_of([&] { pack({.source = zoo.folder.path(), .out = out.path()}); }),
      AllOf(HasSubstr("2 of 6 samples are damaged"), HasSubstr(zoo.name(1)), HasSubstr("--skip-bad")));
  EXPECT_TRUE(std::filesystem::is_empty(out.path()));
  const Packed packed = pack({.source = zoo.folder.path(), .out = out.path(), .skip_bad = true});
  EXPECT_EQ(packed.skipped, 2);
  EXPECT_EQ(packed.index.count, 4);
}

TEST(PackPictures, WantsASizeWhenFilesDiffer) {
  const Zoo zoo;
  const Folder out;
  write_png(zoo.name(3), torch::zeros({3, 9, 8}, torch::kByte));
  EXPECT_THAT(error_of([&] { pack({.source = zoo.folder.path(), .out = out.path()}); }),
              AllOf(HasSubstr("8x8"), HasSubstr("9x8"), HasSubstr(zoo.name(3)), HasSubstr("--size")));
  pack({.source = zoo.folder.path(), .out = out.path(), .size = ImageSize{4, 4}, .channels = 1});
  EXPECT_EQ(describe(open_shards(out.path())->schema()),
            "image uint8 [1, 4, 4], label int64 [] of 2 classes");
}

TEST(PackMixtures, HaveTheirMoments) {
  const Folder out;
  for (const auto& [name, modes] : {std::pair{"ring8", 8}, std::pair{"grid25", 25}, std::pair{"hd10", 10}}) {
    pack({.source = name, .out = out.path(), .samples = 4000, .force = true});
    const auto mixture = open_shards(out.path())->provenance().at("mixture");
    const double sigma = mixture.at("sigma");
    std::vector<torch::Tensor> rows;
    for (const auto& row : mixture.at("centers"))
      rows.push_back(torch::tensor(row.get<std::vector<double>>()));
    const torch::Tensor centers = torch::stack(rows), x = read_all(out.path())["x"].to(torch::kDouble);
    ASSERT_EQ(centers.size(0), modes) << name;
    const auto [distance, mode] = torch::cdist(x, centers).min(1);
    const torch::Tensor shares = torch::bincount(mode, {}, modes).to(torch::kDouble) / 4000;
    EXPECT_LT((shares * modes - 1).abs().max().item<double>(), 0.3) << name;
    const double variance = distance.square().mean().item<double>() / double(centers.size(1));
    EXPECT_NEAR(std::sqrt(variance) / sigma, 1, 0.03) << name;
    EXPECT_LT((x - centers.index({mode})).mean().abs().item<double>(), 0.1 * sigma) << name;
  }
}

// Ten classes alike, nothing cut off at its border, and a function of seed and index.
TEST(PackGlyph10, AreDigitsInTheMiddle) {
  const Folder a, b, c;
  pack({.source = "glyph10", .out = a.path(), .samples = 2000});
  pack({.source = "glyph10", .out = b.path(), .size = ImageSize{32, 32}, .samples = 50});
  pack({.source = "glyph10", .out = c.path(), .samples = 50, .seed = 1});
  const Batch read = read_all(a.path());
  EXPECT_EQ(read["image"].sizes(), (std::vector<int64_t>{2000, 1, 16, 16}));
  EXPECT_LT((torch::bincount(read["label"], {}, 10) - 200).abs().max().item<int64_t>(), 60);
  const torch::Tensor mean = read["image"].to(torch::kDouble).mean(0).squeeze(0);
  EXPECT_GT(mean.narrow(0, 4, 8).narrow(1, 4, 8).mean().item<double>(), 4 * mean[0].mean().item<double>());
  EXPECT_GT(read["image"].to(torch::kLong).amax({1, 2, 3}).min().item<int64_t>(), 100);
  EXPECT_TRUE(read_all(b.path())["label"].equal(read["label"].narrow(0, 0, 50)));
  EXPECT_FALSE(read_all(c.path())["image"].equal(read["image"].narrow(0, 0, 50)));
  EXPECT_THAT(error_of([] {
                pack({.source = "glyph10", .out = "nowhere", .size = ImageSize{8, 8}});
              }),
              HasSubstr("--size 16"));
}

TEST(PackMixtures, AreAFunctionOfSeedAndIndex) {
  const Folder a, b, c;
  pack({.source = "ring8", .out = a.path(), .samples = 50});
  pack({.source = "ring8", .out = b.path(), .samples = 80});
  pack({.source = "ring8", .out = c.path(), .samples = 50, .seed = 1});
  EXPECT_TRUE(read_all(a.path())["x"].equal(read_all(b.path())["x"].narrow(0, 0, 50)));
  EXPECT_FALSE(read_all(a.path())["x"].equal(read_all(c.path())["x"]));
}

TEST(Pack, DoesNothingTwice) {
  const Folder out;
  const PackRequest request{.source = "ring8", .out = out.path(), .samples = 100};
  EXPECT_FALSE(pack(request).already);
  const auto written = std::filesystem::last_write_time(out / "shard-00000.h5");
  EXPECT_TRUE(pack(request).already);
  EXPECT_EQ(std::filesystem::last_write_time(out / "shard-00000.h5"), written);
}

TEST(Pack, ReplacesOnlyWhenForced) {
  const Folder out;
  test::put(out / "mine.txt", "precious");
  EXPECT_THAT(error_of([&] { pack({.source = "ring8", .out = out.path(), .samples = 10}); }),
              HasSubstr("other files"));
  pack({.source = "ring8", .out = out.path(), .samples = 10, .force = true});
  EXPECT_THAT(error_of([&] { pack({.source = "grid25", .out = out.path(), .samples = 10}); }),
              HasSubstr("another data set"));
  pack({.source = "grid25", .out = out.path(), .samples = 10, .force = true});
  EXPECT_EQ(open_shards(out.path())->provenance().at("source"), "grid25");
  EXPECT_EQ(read_file(out / "mine.txt"), "precious");
}

TEST(Pack, StartsAgainAfterAnInterruptedOne) {
  const Folder out;
  test::put(out / "shard-00000.h5.tmp", "half");
  test::put(out / "shard-00007.h5", "older");
  EXPECT_EQ(pack({.source = "ring8", .out = out.path(), .samples = 10}).index.count, 10);
  EXPECT_FALSE(std::filesystem::exists(out / "shard-00007.h5"));
}

TEST(PackPictures, GoOnFromTheShardsBeforeADamagedFile) {
  const Folder pictures, out, other;
  for (int i = 0; i < 40; ++i)
    write_png(fmt::format("{}/{:02}.png", pictures.path(), i), torch::full({3, 200, 200}, i, torch::kByte));
  test::put(pictures / "30.png", "no PNG");
  PackRequest asked{.source = pictures.path(), .out = out.path(), .shard_mib = 1};
  EXPECT_THAT(error_of([&] { pack(asked); }), HasSubstr("1 of 40 samples are damaged"));
  asked.skip_bad = true;
  const Packed packed = pack(asked);
  EXPECT_GT(packed.resumed, 0);
  EXPECT_EQ(packed.skipped, 1);
  asked.out = other.path();
  EXPECT_EQ(pack(asked).resumed, 0);
  EXPECT_EQ(read_file(out / "dataset.json"), read_file(other / "dataset.json"));
}

TEST(Pack, GoesOnAfterAFullDisk) {
  if (!test::can_mount()) GTEST_SKIP() << "only root mounts a small disk";
  const Folder folder, out;
  test::SmallDisk disk(folder.path(), "3m");
  PackRequest asked{.source = "hd10", .out = folder / "set", .samples = 20000, .shard_mib = 1, .compress = 1};
  EXPECT_THAT(error_of([&] { pack(asked); }), HasSubstr("No space left on device"));
  EXPECT_FALSE(has_index(asked.out));
  disk.resize("30m");
  const Packed packed = pack(asked);
  EXPECT_GT(packed.resumed, 0);
  asked.out = out.path();
  pack(asked);
  EXPECT_EQ(read_file(folder / "set/dataset.json"), read_file(out / "dataset.json"));
  EXPECT_TRUE(read_all(folder / "set")["x"].equal(read_all(out.path())["x"]));
}

TEST(Pack, ListsWhatItTakes) {
  const Folder out;
  EXPECT_THAT(error_of([&] { pack({.source = "/no/such/thing", .out = out.path()}); }),
              AllOf(HasSubstr("/no/such/thing"), HasSubstr("ring8"), HasSubstr("IDX"), HasSubstr("PNG")));
}

}  // namespace
}  // namespace saddle
