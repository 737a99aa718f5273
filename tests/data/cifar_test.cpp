#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "data/pack/arrays/pickle.h"
#include "data/pack/files/tar.h"
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
using testing::ElementsAre;
using testing::HasSubstr;
using namespace std::string_literals;  // texts with zeros in them

torch::Tensor pictures(int64_t first, int64_t count) {
  return counted({12, 3, 32, 32}).narrow(0, first, count);
}

// The files of an archive, in a folder.
void unpack(const std::string& archive, const Folder& folder) {
  Tar tar(archive);
  while (const auto entry = tar.next())
    test::put(folder / std::filesystem::path(entry->name).filename().string(), tar.read(1 << 20));
}

Source open_test(const std::string& path) {
  return open_source({.source = path, .out = "", .split = "test"});
}

TEST(PackCifar, ReadsPicklesOfEveryProtocol) {
  const Source source = open(golden("cifar-10-python.tar.gz"));
  EXPECT_EQ(describe(source.schema), "image uint8 [3, 32, 32], label int64 [] of 4 classes");
  EXPECT_THAT(source.schema["label"].class_names, ElementsAre("plane", "car", "bird", "cat"));
  EXPECT_TRUE(same(all(source, "image"), pictures(0, 10)));
  EXPECT_TRUE(same(all(source, "label"), torch::arange(10).remainder(4)));
  EXPECT_EQ(source.label(7), 3);
  const Source test = open_test(golden("cifar-10-python.tar.gz"));
  EXPECT_TRUE(same(all(test, "image"), pictures(10, 2)));
  EXPECT_TRUE(same(all(test, "label"), torch::tensor({2, 3})));
}

TEST(PackCifar, ReadsFoldersAsArchives) {
  const Folder folder;
  unpack(golden("cifar-10-python.tar.gz"), folder);
  const Source source = open(folder.path());
  EXPECT_TRUE(same(all(source, "image"), pictures(0, 10)));
  EXPECT_THAT(source.schema["label"].class_names, ElementsAre("plane", "car", "bird", "cat"));
}

TEST(PackCifar, ReadsBothLabelsOfCifar100) {
  for (const char* split : {"train", "test"}) {
    const bool train = split == std::string("train");
    const Source source =
        open_source({.source = golden("cifar-100-python.tar.gz"), .out = "", .split = split});
    EXPECT_EQ(describe(source.schema),
              "image uint8 [3, 32, 32], label int64 [] of 4 classes, coarse_label int64 [] of 2 classes");
    EXPECT_TRUE(same(all(source, "image"), pictures(train ? 0 : 2, 2)));
    EXPECT_TRUE(same(all(source, "label"), train ? torch::tensor({3, 1}) : torch::tensor({0, 2})));
    EXPECT_TRUE(same(all(source, "coarse_label"), train ? torch::tensor({1, 0}) : torch::tensor({0, 1})));
  }
}

std::string record(const std::string& labels, char value) {
  return labels + std::string(3072, value);
}

TEST(PackCifar, ReadsBinaryBatches) {
  const Folder ten, hundred;
  test::put(ten / "data_batch_1.bin", record("\1", 'a') + record("\2", 'b'));
  test::put(ten / "data_batch_2.bin", record("\1", 'c'));
  test::put(ten / "batches.meta.txt", "plane\r\ncar\nbird\n\n");
  const Source a = open(ten.path());
  EXPECT_EQ(describe(a.schema), "image uint8 [3, 32, 32], label int64 [] of 3 classes");
  EXPECT_THAT(a.schema["label"].class_names, ElementsAre("plane", "car", "bird"));
  EXPECT_TRUE(same(all(a, "label"), torch::tensor({1, 2, 1})));
  EXPECT_THAT(a.notes, ElementsAre(HasSubstr("2 of the 5 batches of CIFAR-10 are there: data_batch_1.bin")));
  EXPECT_TRUE(same(all(a, "image").select(1, 2).select(1, 31).select(1, 31), torch::tensor({'a', 'b', 'c'})));
  test::put(hundred / "train.bin", record("\1\7", 'a') + record("\2\3", 'b'));
  test::put(hundred / "fine_label_names.txt", "0\n1\n2\n3\n4\n5\n6\n7\n");
  const Source b = open(hundred.path());
  EXPECT_EQ(describe(b.schema),
            "image uint8 [3, 32, 32], label int64 [] of 8 classes, coarse_label int64 [] of 3 classes");
  EXPECT_TRUE(same(all(b, "label"), torch::tensor({7, 3})));
  EXPECT_TRUE(same(all(b, "coarse_label"), torch::tensor({1, 2})));
}

TEST(PackCifar, NamesWhatIsDamaged) {
  const Folder folder;
  test::put(folder / "data_batch_1.bin", record("\5", 'a') + "x");
  EXPECT_THAT(error_of([&] { open(folder.path()); }),
              AllOf(HasSubstr("data_batch_1.bin"), HasSubstr("records of 3073 bytes")));
  test::put(folder / "data_batch_1.bin", record("\5", 'a'));
  test::put(folder / "batches.meta.txt", "plane\ncar\n");
  EXPECT_THAT(error_of([&] { open(folder.path()); }), HasSubstr("expected labels from 0 to 1, found 5"));
  EXPECT_THAT(error_of([&] { open_test(folder.path()); }), HasSubstr("expected the test batches"));
  const std::string bytes = read_file(golden("cifar-10-python.tar.gz")), path = folder / "cifar.tar.gz";
  test::put(path, bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(error_of([&] { open(path); }), AllOf(HasSubstr(path), HasSubstr("cut off")));
}

std::string with_tail(const std::string& tail) {  // a pickle, then the end of a dictionary
  return "\x80\x02}(U\1a"s + tail + "u.";
}

TEST(Pickle, ReadsNumbersAndTexts) {
  const Pickle pickle(
      with_tail("](K\7M\1\1J\xff\xff\xff\xff\x8a\2\0\x80\x8a\0eU\1b](U\1xX\2\0\0\0\xc3\xa9U\1\xe9"s
                "e"),
      "p");
  EXPECT_THAT(pickle.integers("a"), ElementsAre(7, 257, -1, -32768, 0));
  EXPECT_THAT(pickle.texts("b"), ElementsAre("x", "\xc3\xa9", "\xc3\xa9"));
  EXPECT_TRUE(pickle.has("b"));
  EXPECT_FALSE(pickle.has("c"));
  EXPECT_THAT(error_of([&] { pickle.integers("b"); }), HasSubstr("only integers"));
  EXPECT_THAT(error_of([&] { pickle.array("a"); }), HasSubstr("to be a NumPy array"));
}

TEST(Pickle, RefusesWhatIsNoPlainData) {
  const std::vector<std::pair<std::string, const char*>> cases{
      {"", "cut off"},
      {"text", "protocol 2 to 4"},
      {"\x80\x05}.", "protocol 2 to 4, not 5"},
      {"\x80\x02].", "expected a dictionary"},
      {"\x80\x02}", "cut off"},
      {with_tail("cos\nsystem\n(U\2lstR"), "not os.system"},
      {with_tail("U\2osU\6system\x93"), "not os.system"},
      {with_tail("cnumpy\nndarray\n)R"), "a call of NumPy's"},
      {with_tail("cnumpy\nndarray\nU\1xb"), "the state of an array"},
      {with_tail("h\7"), "a value kept before"},
      {with_tail("T\xff\xff\xff\xff"), "cut off"},
      {with_tail("a"), "on the stack"},
      {with_tail("P"), "opcode 0x50"},
      {"\x80\x02}K\1a.", "a list or dictionary"}};
  for (const auto& [bytes, message] : cases)
    EXPECT_THAT(error_of([&] { Pickle(bytes, "p"); }), AllOf(HasSubstr("p: "), HasSubstr(message)));
}

TEST(Pickle, BearsCyclesDepthAndRepetition) {
  std::string deep = "\x80\x02}(U\1a";
  for (int i = 0; i < 100000; ++i) deep += "](";
  EXPECT_THAT(error_of([&] { Pickle(deep, "p"); }), HasSubstr("cut off"));
  for (int i = 0; i < 100000; ++i) deep += "e";
  Pickle(deep + "u.", "p");
  Pickle(with_tail("]q\0h\0a"s), "p");
  std::string bomb =
      "\x80\x02}(U\1a](X" + "\xe8\3\0\0"s + std::string(1000, 'x') + "q\1X" + "\6\0\0\0"s + "latin1q\2";
  bomb += "c_codecs\nencode\nq\3";
  for (int i = 0; i < 100; ++i) bomb += "h\3h\1h\2\x86R";
  EXPECT_THAT(error_of([&] { Pickle(bomb + "eu.", "p"); }), HasSubstr("used once"));
}

TEST(Tar, NeverCrashesOnFlippedBytes) {
  const Folder folder;
  gzFile file = gzopen(golden("cifar-100-python.tar.gz").c_str(), "rb");
  std::string good(1 << 16, '\0');
  good.resize(size_t(gzread(file, good.data(), unsigned(good.size()))));
  gzclose(file);
  for (size_t at = 0; at < good.size(); at += at % 512 < 400 && at < 2048 ? 3 : 101) {
    std::string bad = good;
    bad[at] = char(bad[at] ^ 0xff);
    test::put(folder / "cifar.tar", bad);
    error_of([&] { all(open(folder / "cifar.tar"), "image"); });
  }
}

}  // namespace
}  // namespace saddle
