#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/pack/files/lzf.h"
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
using test::open;
using test::same;
using testing::AllOf;
using testing::HasSubstr;

TEST(PackHdf5, ReadsFilesOfBigGan) {
  const Source source = open(golden("biggan.hdf5"));
  EXPECT_EQ(describe(source.schema), "image uint8 [3, 4, 5], label int64 [] of 3 classes");
  EXPECT_TRUE(source.serial);
  EXPECT_TRUE(same(all(source, "image"), counted({7, 3, 4, 5})));
  EXPECT_TRUE(same(all(source, "label"), torch::arange(7).remainder(3)));
  EXPECT_EQ(source.label(4), 1);
}

TEST(PackHdf5, MakesAFieldOfEveryArrayOfNumbers) {
  const Source source = open(golden("mixed.h5"));
  EXPECT_EQ(describe(source.schema),
            "image uint8 [3, 6, 5], label int64 [] of 3 classes, angle float32 [], seen int16 []");
  EXPECT_TRUE(same(all(source, "image"), counted({4, 6, 5, 3}).permute({0, 3, 1, 2})));
  EXPECT_TRUE(same(all(source, "label"), torch::tensor({2, 0, 1, 2})));
  EXPECT_TRUE(same(all(source, "angle"), torch::arange(4)));
  EXPECT_TRUE(same(all(source, "seen"), torch::tensor({1, 0, 0, 1})));
}

TEST(PackHdf5, FindsArraysInGroups) {
  const Source train = open(golden("groups.h5"));
  EXPECT_EQ(describe(train.schema),
            "image uint8 [3, 5, 4], label int64 [] of 2 classes, mask int32 [1, 5, 4]");
  EXPECT_EQ(train.count, 4);
  EXPECT_TRUE(same(all(train, "image"), counted({4, 5, 4, 3}).permute({0, 3, 1, 2})));
  EXPECT_TRUE(same(all(train, "label"), torch::arange(4).remainder(2)));
  EXPECT_TRUE(same(all(train, "mask").squeeze(1), counted({4, 5, 4}) * 300));
  const Source test =
      open_source({.source = golden("groups.h5"), .given = {{"split", "test"}}, .split = "test"});
  EXPECT_EQ(test.count, 2);
  EXPECT_EQ(test.schema, train.schema);
}

TEST(PackHdf5, PacksTheSameTwice) {
  const Folder a, b;
  const auto first = pack({.source = golden("biggan.hdf5"), .out = a.path()});
  const auto second = pack({.source = golden("biggan.hdf5"), .out = b.path()});
  EXPECT_EQ(first.index.fingerprint, second.index.fingerprint);
  EXPECT_EQ(first.index.count, 7);
}

TEST(PackHdf5, NamesWhatIsDamaged) {
  const Folder folder;
  const std::string path = folder / "a.h5", good = read_file(golden("mixed.h5"));
  test::put(path, "no HDF5 file");
  EXPECT_THAT(error_of([&] { open(path); }), AllOf(HasSubstr(path), HasSubstr("expected an HDF5 file")));
  test::put(path, good.substr(0, good.size() - 100));
  EXPECT_THAT(error_of([&] { all(open(path), "image"); }), HasSubstr(path));
  std::string bad = good;
  const size_t packed =
      good.find("\x78\x5e") == std::string::npos ? good.find("\x78\xda") : good.find("\x78\x5e");
  ASSERT_NE(packed, std::string::npos);
  for (size_t at = packed + 4; at < packed + 12; ++at) bad[at] = char(bad[at] ^ 0xff);
  test::put(path, bad);
  EXPECT_THAT(error_of([&] { all(open(path), "image"), all(open(path), "label"); }),
              AllOf(HasSubstr(path), HasSubstr("damaged")));
}

TEST(PackHdf5, SurvivesWhatHdf5DoesNot) {  // one byte that fuzzing found; HDF5 1.10.8 ends by a signal
  const Folder folder;
  std::string bytes = read_file(golden("mixed.h5"));
  bytes.at(8479) = '\x80';
  test::put(folder / "a.h5", bytes);
  EXPECT_THAT(error_of([&] { all(open(folder / "a.h5"), "image"); }),
              testing::AnyOf(HasSubstr("damaged"), ""));  // "" of an HDF5 that bears it
}

TEST(Lzf, UnpacksRunsAndRepetitions) {
  const auto unpack = [](const std::vector<uint8_t>& packed, int64_t room) {
    std::string out(size_t(room), '\0');
    const int64_t got =
        unpack_lzf(packed.data(), int64_t(packed.size()), reinterpret_cast<uint8_t*>(out.data()), room);
    return got < 0 ? "damaged" : out.substr(0, size_t(got));
  };
  EXPECT_EQ(unpack({2, 'a', 'b', 'c', 32, 2}, 99), "abcabc");
  EXPECT_EQ(unpack({0, 'a', 7 << 5, 1, 0}, 99), std::string(11, 'a'));
  EXPECT_EQ(unpack({0, 'a', 7 << 5, 1, 0}, 10), "damaged");  // no room
  EXPECT_EQ(unpack({2, 'a', 'b'}, 99), "damaged");           // cut off
  EXPECT_EQ(unpack({0, 'a', 7 << 5, 1}, 99), "damaged");
  EXPECT_EQ(unpack({0, 'a', 32, 1}, 99), "damaged");  // from before the beginning
}

}  // namespace
}  // namespace saddle
