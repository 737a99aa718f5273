#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <thread>

#include "data/check/audit.h"
#include "data/dataset.h"
#include "data/store/shard_writer.h"
#include "dist/random.h"
#include "tests/data/folder.h"
#include "tests/data/samples.h"

namespace saddle {
namespace {

using test::error_of;
using test::every_dtype;
using test::Folder;
using test::labelled_points;
using test::samples;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// `count` small samples, 88 bytes each, in shards of 10.
Index write(const Folder& folder, int64_t count = 25, uint64_t seed = 0) {
  ShardWriter writer(folder.path(), labelled_points(), 10 * 88);
  writer.append(samples(labelled_points(), count, seed));
  return writer.finish({{"source", "test"}});
}

void flip(const std::string& path, size_t offset) {
  std::string bytes = read_file(path);
  bytes.at(offset) ^= 1;
  test::put(path, bytes);
}

size_t find(const std::string& path, const torch::Tensor& row) {
  const std::string bytes = read_file(path);
  return bytes.find(std::string(static_cast<const char*>(row.const_data_ptr()), row.nbytes()));
}

std::vector<int64_t> range(int64_t count) {
  std::vector<int64_t> all(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) all[size_t(i)] = i;
  return all;
}

TEST(Shards, GiveBackEveryDtype) {
  const Folder folder;
  const Batch written = samples(every_dtype(), 23);
  ShardWriter writer(folder.path(), every_dtype(), 1000);
  writer.append(written);
  const Index index = writer.finish({{"source", "test"}});
  EXPECT_GT(index.shards.size(), 2U);

  const auto data = open_shards(folder.path());
  EXPECT_EQ(data->schema(), every_dtype());
  EXPECT_EQ(data->size(), 23);
  EXPECT_EQ(data->provenance().at("source"), "test");
  const std::vector<int64_t> order{22, 0, 7, 7, 13};
  const Batch found = data->read(order);
  for (const auto& [name, tensor] : found)
    EXPECT_TRUE(tensor.equal(written[name].index({torch::tensor(order)}))) << name;
  EXPECT_TRUE(audit(folder.path()).problems.empty());
}

TEST(Shards, AreTheSameBytesEveryTime) {
  const Folder a, b;
  write(a);
  for (const auto second = std::time(nullptr);
       std::time(nullptr) == second;)  // HDF5's own times are whole seconds
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  write(b);
  for (const char* name : {"shard-00000.h5", "shard-00002.h5", "dataset.json"})
    EXPECT_EQ(hash_file(a / name), hash_file(b / name)) << name;
}

TEST(Shards, FingerprintIsOfTheContentAlone) {
  const Folder a, b, c;
  ShardWriter other_size(b.path(), labelled_points(), 1 << 20);
  other_size.append(samples(labelled_points(), 25));
  const std::string expected = write(a).fingerprint;
  EXPECT_EQ(other_size.finish({}).fingerprint, expected);
  EXPECT_EQ(in_memory(labelled_points(), samples(labelled_points(), 25))->fingerprint(), expected);
  EXPECT_NE(write(c, 25, 1).fingerprint, expected);
}

TEST(Shards, NameATruncatedShard) {
  const Folder folder;
  write(folder);
  std::filesystem::resize_file(folder / "shard-00001.h5", 4200);
  EXPECT_THAT(error_of([&] { open_shards(folder.path()); }),
              AllOf(HasSubstr("shard-00001.h5"), HasSubstr("found 4200")));
  EXPECT_THAT(audit(folder.path()).problems, ElementsAre(HasSubstr("shard-00001.h5")));
}

TEST(Shards, NameAMissingShard) {
  const Folder folder;
  write(folder);
  std::filesystem::remove(folder / "shard-00002.h5");
  EXPECT_THAT(error_of([&] { open_shards(folder.path()); }),
              AllOf(HasSubstr("shard-00002.h5"), HasSubstr("No such file")));
}

TEST(Shards, NameAForeignShardOfTheSameSize) {
  const Folder folder, other;
  write(folder), write(other, 25, 1);
  std::filesystem::copy_file(other / "shard-00001.h5", folder / "shard-00001.h5",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(error_of([&] { open_shards(folder.path()); }),
              AllOf(HasSubstr("shard-00001.h5"), HasSubstr("another data set")));
}

TEST(Shards, NameAFileThatIsNoShard) {
  const Folder folder;
  const Index index = write(folder);
  test::put(folder / "shard-00000.h5", std::string(size_t(index.shards[0].bytes), 'x'));
  EXPECT_THAT(error_of([&] { open_shards(folder.path()); }),
              AllOf(HasSubstr("shard-00000.h5"), HasSubstr("damaged")));
}

TEST(Shards, NameTheDamagedSample) {
  const Folder folder;
  write(folder);
  const torch::Tensor victim = samples(labelled_points(), 25)["x"][14];
  const std::string path = folder / "shard-00001.h5";
  const size_t at = find(path, victim);
  for (size_t byte : {size_t{0}, size_t{31}, size_t{63}}) {
    flip(path, at + byte);
    const auto data = open_shards(folder.path());
    EXPECT_THAT(error_of([&] {
                  data->read({3, 14});
                }),
                AllOf(HasSubstr("shard-00001.h5"), HasSubstr("field x"), HasSubstr("sample 4")));
    EXPECT_NO_THROW(data->read({13, 15}));
    EXPECT_THAT(audit(folder.path()).problems, ElementsAre(HasSubstr("sample 4")));
    flip(path, at + byte);
  }
}

TEST(Shards,
     DetectAFlipOfAnyByteThatMatters) {  // samples, checksums, attributes; not the padding between them
  const Folder folder;
  write(folder, 10);
  const std::string path = folder / "shard-00000.h5";
  const std::string intact = read_file(path);
  const auto data = samples(labelled_points(), 10);
  const Batch expected = open_shards(folder.path())->read(range(10));
  for (size_t at = 0; at < intact.size(); at += 19) {
    std::string bytes = intact;
    bytes[at] ^= 16;
    test::put(path, bytes);
    if (!audit(folder.path()).problems.empty()) continue;
    const Batch found = open_shards(folder.path())->read(range(10));
    for (const auto& [name, tensor] : found) ASSERT_TRUE(tensor.equal(expected[name])) << "byte " << at;
  }
}

TEST(Shards, ReportLabelsOutOfRange) {
  const Folder folder;
  ShardWriter writer(folder.path(), labelled_points(), 1 << 20);
  Batch bad = samples(labelled_points(), 6);
  bad["label"].select(0, 4).fill_(5);
  writer.append(bad);
  writer.finish({});
  EXPECT_THAT(audit(folder.path()).problems,
              ElementsAre(AllOf(HasSubstr("sample 4"), HasSubstr("below 5, found 5"))));
}

TEST(Shards, AreNoDataSetWithoutAnIndex) {
  const Folder folder;
  write(folder);
  std::filesystem::remove(folder / "dataset.json");
  EXPECT_THAT(error_of([&] { open_shards(folder.path()); }), HasSubstr("saddle pack"));
  test::put(folder / "dataset.json", "{\"format\": 1");
  EXPECT_THAT(error_of([&] { open_shards(folder.path()); }), HasSubstr("malformed"));
}

TEST(Shards, FailToWriteWhereThereIsNoFolder) {
  ShardWriter writer("/nowhere/at/all", labelled_points(), 1 << 20);
  writer.append(samples(labelled_points(), 3));
  EXPECT_THAT(error_of([&] { writer.finish({}); }),
              AllOf(HasSubstr("/nowhere/at/all/shard-00000.h5"), HasSubstr("cannot write")));
}

TEST(Schema, SurvivesJsonAndRefusesNonsense) {
  Schema schema = every_dtype();
  schema.fields[4].class_names = {"a", "b", "c", "d", "e"};
  EXPECT_EQ(schema_from_json(to_json(schema)), schema);
  for (const char* bad :
       {R"({})", R"({"fields":[]})", R"({"fields":[{"name":"x","shape":[2],"dtype":"float13"}]})",
        R"({"fields":[{"name":"a/b","shape":[2],"dtype":"uint8"}]})",
        R"({"fields":[{"name":"x","shape":[-2],"dtype":"uint8"}]})",
        R"({"fields":[{"name":"x","shape":[],"dtype":"uint8"},{"name":"x","shape":[],"dtype":"uint8"}]})"})
    EXPECT_THAT(error_of([&] { schema_from_json(nlohmann::json::parse(bad)); }), HasSubstr("schema:")) << bad;
  EXPECT_THAT(error_of([&] { schema["nothing"]; }), AllOf(HasSubstr("nothing"), HasSubstr("image, int8")));
}

}  // namespace
}  // namespace saddle
