// Data sets of others, whose indices and shards claim more than there is, or lead elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>
#include <sys/stat.h>

#include <functional>

#include "data/check/audit.h"
#include "data/dataset.h"
#include "data/pack/importers.h"
#include "data/pack/pack.h"
#include "data/store/shard.h"
#include "data/store/shard_writer.h"
#include "data/store/staging.h"
#include "tests/data/folder.h"
#include "tests/data/samples.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::error_of;
using testing::AllOf;
using testing::HasSubstr;

class Claims : public testing::Test {
 protected:
  const Schema schema_{{test::field("x", {16}, torch::kFloat),
                        test::field("label", {}, torch::kLong, 5),
                        {.name = "tokens",
                         .shape = {6},
                         .dtype = torch::kInt,
                         .classes = 9,
                         .class_names = {},
                         .variable = true}}};

  void SetUp() override { write(test::samples(schema_, 1000)); }
  void write(const Batch& samples) const {
    ShardWriter writer(folder_.path(), schema_, 1 << 20);
    writer.append(samples);
    writer.finish({{"source", "test"}});
  }
  json index() const { return json::parse(read_file(folder_ / "dataset.json")); }
  std::string refusal(const std::string& pointer, const json& value) const {
    json changed = index();
    changed[json::json_pointer(pointer)] = value;
    return error_of([&] { parse_index(changed.dump()); });
  }
  std::string opening() const {
    return error_of([&] { open_shards(folder_.path()); });
  }
  std::string shard() const { return folder_ / "shard-00000.h5"; }

  test::Folder folder_;
};

TEST_F(Claims, OfClassesAndLengthsAreComparedWithTheBytesThereAre) {
  EXPECT_EQ(refusal("/schema/fields/1/classes", 1 << 20), "");
  EXPECT_THAT(refusal("/schema/fields/1/classes", int64_t{1} << 40),
              AllOf(HasSubstr("field label"), HasSubstr("found 1099511627776 classes")));
  EXPECT_EQ(refusal("/schema/fields/2/shape/0", 4096), "") << "a part of a data set, without its longest";
  EXPECT_THAT(refusal("/schema/fields/2/shape/0", int64_t{1} << 40),
              AllOf(HasSubstr("field tokens"), HasSubstr("up to 1099511627776 steps")));
  EXPECT_THAT(refusal("/schema/fields/0/shape", json(std::vector<int>(40, 1))), HasSubstr("40 extents"));
}

TEST_F(Claims, OfOtherTypesAreNamed) {
  EXPECT_THAT(refusal("/schema", 3), HasSubstr("expected an object with \"fields\", found 3"));
  EXPECT_THAT(refusal("/schema/fields", json::object()), HasSubstr("fields: expected a list, found {}"));
  EXPECT_THAT(refusal("/schema/fields/0/name", 3), HasSubstr("name: expected a text, found 3"));
  EXPECT_THAT(refusal("/schema/fields/0/shape", "16"), HasSubstr("shape: expected a list, found \"16\""));
  EXPECT_THAT(refusal("/schema/fields/0/dtype", nullptr), HasSubstr("dtype: expected a text, found null"));
  EXPECT_THAT(refusal("/schema/fields/1/classes", "5"),
              HasSubstr("classes: expected an integer, found \"5\""));
  EXPECT_THAT(refusal("/schema/fields/1/class_names", "a"), HasSubstr("class_names: expected a list"));
  EXPECT_THAT(refusal("/schema/fields/1/class_names", {1, 2, 3, 4, 5}),
              HasSubstr("expected a text, found 1"));
  EXPECT_THAT(refusal("/schema/fields/2/variable", 1),
              HasSubstr("variable: expected true or false, found 1"));
}

TEST_F(Claims, NameNothingOutsideOfTheFolder) {
  for (const char* file : {"", ".", "..", "../shard-00000.h5", "/etc/passwd"})
    EXPECT_THAT(refusal("/shards/0/file", file), HasSubstr("expected the name of a file beside it"));
  for (const char* fingerprint :
       {"../../elsewhere", "/tmp/x", "x y", "F00D"})  // staging makes a folder of it
    EXPECT_THAT(refusal("/fingerprint", fingerprint), HasSubstr("expected hexadecimal digits"));
}

TEST_F(Claims, OfSamplesThatLieInAHoleOfTheFileTakeNoMemory) {
  constexpr int64_t kCount = int64_t{1} << 36, kBytes = int64_t{1} << 40;
  json changed = index();
  changed["count"] = changed["shards"][0]["count"] = kCount;
  changed["shards"][0]["bytes"] = kBytes;
  changed["schema"]["fields"] = json::array({changed["schema"]["fields"][1]});
  changed["shards"][0]["extents"] = {{{"bytes", kCount * 8}, {"data", 0}, {"checksums", kBytes / 2}}};
  test::put(folder_ / "dataset.json", changed.dump());
  fs::resize_file(shard(), kBytes);
  EXPECT_THAT(opening(),
              HasSubstr("expected the checksums of 68719476736 samples of field label, found a hole"));
  EXPECT_THAT(audit(folder_.path()).problems, testing::ElementsAre(HasSubstr("found a hole")));
}

TEST_F(Claims, OfASampleThatIsAHoleTakeNoMemory) {
  constexpr int64_t kBytes = int64_t{1} << 40;
  json changed = index();
  changed["count"] = changed["shards"][0]["count"] = 1;
  changed["shards"][0]["bytes"] = kBytes;
  changed["schema"]["fields"] = {{{"name", "x"}, {"dtype", "uint8"}, {"shape", {1 << 19, 1 << 19}}}};
  const auto checksums = changed["shards"][0]["extents"][0]["checksums"];
  changed["shards"][0]["extents"] = {{{"bytes", int64_t{1} << 38}, {"data", 0}, {"checksums", checksums}}};
  test::put(folder_ / "dataset.json", changed.dump());
  fs::resize_file(shard(), kBytes);
  EXPECT_THAT(opening(), HasSubstr("found a file of holes"));
}

TEST_F(Claims, ThatAFifoOrADeviceIsAShardAreNotWaitedFor) {
  json changed = index();
  changed["shards"][0]["bytes"] = 0;
  test::put(folder_ / "dataset.json", changed.dump());
  fs::remove(shard());
  ASSERT_EQ(mkfifo(shard().c_str(), 0600), 0);
  EXPECT_THAT(opening(), HasSubstr("found no readable file"));
  EXPECT_THAT(error_of([&] { read_header(shard(), schema_); }), HasSubstr("expected a shard"));
  fs::remove(shard());
  fs::create_symlink("/dev/zero", shard());
  EXPECT_THAT(opening(), HasSubstr("found no readable file"));
}

TEST_F(Claims, ThatAFifoIsASourceAreNotWaitedFor) {
  const std::string fifo = folder_ / "x.csv";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  for (const Importer* importer : importers()) {
    if (importer == &kMixtures) continue;
    EXPECT_THAT(error_of([&] { open_source({.source = fifo, .as = importer->name}); }),
                HasSubstr("expected a file or a folder"))
        << importer->name;
  }
  EXPECT_THAT(error_of([&] { open_source({.source = fifo, .as = ""}); }), HasSubstr("expected a file or"));
}

// Their checksums fit: whoever made the shard put them there.
TEST_F(Claims, OfFewerClassesThanTheLabelsNeedAreDamage) {
  Batch bad = test::samples(schema_, 40);
  bad["label"][7].fill_(5);
  bad["tokens"][8][2].fill_(-1);
  write(bad);
  const auto data = open_shards(folder_.path());
  data->read({6, 9});
  EXPECT_THAT(error_of([&] { data->read({7}); }),
              AllOf(HasSubstr("field label of sample 7"), HasSubstr("expected classes below 5, found 5")));
  EXPECT_THAT(error_of([&] { data->read({8}); }),
              AllOf(HasSubstr("field tokens of sample 8"), HasSubstr("found -1")));
  const Batch replaced = open_shards(folder_.path(), {.skip_bad = true})->read({7, 8});
  EXPECT_LT(replaced["label"].max().item<int64_t>(), 5);
  EXPECT_GE(replaced["tokens"].min().item<int64_t>(), 0);
}

TEST_F(Claims, AWriterFollowsNoLinkAtItsTemporaryName) {
  test::put(folder_ / "precious", "kept");
  fs::remove(shard());
  fs::create_symlink("precious", shard() + ".tmp");
  write(test::samples(schema_, 10));
  EXPECT_EQ(read_file(folder_ / "precious"), "kept");
  EXPECT_FALSE(fs::is_symlink(shard()));
  EXPECT_TRUE(audit(folder_.path()).problems.empty());
}

// --- HDF5 files that lead into others ---

using Change = std::function<void(hid_t file)>;

void change(const std::string& path, const Change& work) {
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  ASSERT_GE(file, 0);
  work(file);
  ASSERT_GE(H5Fclose(file), 0);
}

TEST_F(Claims, OfAShardThatLeadsIntoAnotherFileAreRefused) {
  const std::string other = folder_ / "other.h5";
  const Index index = read_index(folder_.path());
  fs::copy_file(shard(), other);
  read_header(shard(), schema_);
  const std::string whole = read_file(shard());
  const auto expect = [&](const Change& work) {
    test::put(shard(), whole);
    change(shard(), work);
    EXPECT_THAT(error_of([&] { read_header(shard(), schema_); }), HasSubstr("or a link to elsewhere"));
  };
  expect([](hid_t file) {
    H5Ldelete(file, "x", H5P_DEFAULT);
    H5Lcreate_external("other.h5", "/x", file, "x", H5P_DEFAULT, H5P_DEFAULT);
  });
  expect([](hid_t file) {
    H5Ldelete(file, ".checksums/label", H5P_DEFAULT);
    H5Lcreate_external("other.h5", "/.checksums/label", file, ".checksums/label", H5P_DEFAULT, H5P_DEFAULT);
  });
  expect([](hid_t file) {  // by a soft link to a place that lies elsewhere
    H5Ldelete(file, "x", H5P_DEFAULT);
    H5Lcreate_external("other.h5", "/", file, "far", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/far/x", file, "x", H5P_DEFAULT, H5P_DEFAULT);
  });
}

TEST_F(Claims, OfAnHdf5FileToPackThatLeadsIntoAnotherFileAreRefused) {
  const std::string path = folder_ / "biggan.h5",
                    golden = SADDLE_SOURCE_DIR "/tests/peers/goldens/arrays/biggan.hdf5";
  fs::copy_file(golden, path);
  EXPECT_EQ(error_of([&] { kHdf5.open({.source = path}); }), "");
  change(path, [&](hid_t file) {
    H5Ldelete(file, "labels", H5P_DEFAULT);
    H5Lcreate_external(golden.c_str(), "/labels", file, "labels", H5P_DEFAULT, H5P_DEFAULT);
  });
  EXPECT_THAT(error_of([&] { kHdf5.open({.source = path}); }),
              AllOf(HasSubstr(path), HasSubstr("a link into another one: labels")));
}

}  // namespace
}  // namespace saddle
