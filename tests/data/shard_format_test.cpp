// What format 2 added: fields of variable length, compression, shards that open without HDF5; and format 1
// still.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "data/check/audit.h"
#include "data/dataset.h"
#include "data/store/shard.h"
#include "data/store/shard_writer.h"
#include "dist/random.h"
#include "tests/data/folder.h"
#include "tests/support/small_disk.h"

namespace saddle {
namespace {

using test::error_of;
using test::Folder;
using testing::EndsWith;
using testing::HasSubstr;

constexpr int64_t kSamples = 37;

Field field(const std::string& name, std::vector<int64_t> shape, torch::ScalarType dtype, bool variable) {
  return {.name = name, .shape = std::move(shape), .dtype = dtype, .class_names = {}, .variable = variable};
}

Schema schema() {
  return {{field("image", {3, 5, 7}, torch::kByte, false), field("deep", {1, 4, 4}, torch::kUInt16, false),
           field("half", {6}, torch::kHalf, false), field("x", {9}, torch::kInt, true),
           field("video", {4, 1, 2, 2}, torch::kByte, true)}};
}

// Sample i: rows of lengths that include none and all.
Batch sample(int64_t i) {
  const auto numbers = [&](const Field& f, int64_t rows) {
    std::vector<int64_t> shape = f.shape;
    if (f.variable) shape[0] = rows;
    return uniform(Stream(1, f.name), {i, 1}, shape, torch::kDouble).mul(200).to(f.dtype);
  };
  Batch out;
  const Schema fields = schema();
  for (const Field& f : fields.fields) out.set(f.name, numbers(f, i % (f.shape[0] + 1)));
  return out;
}

Index write(const Folder& folder, int64_t compress, int64_t shard_bytes = 4096) {
  ShardWriter writer(folder.path(), schema(), shard_bytes, compress);
  for (int64_t i = 0; i < kSamples; ++i) writer.append(sample(i));
  return writer.finish({{"source", "test"}});
}

void expect_samples(const Dataset& data) {
  for (const int64_t i : {36, 0, 17, 4, 5, 35}) {
    const Batch found = data.read({i}), expected = sample(i);
    for (const Field& f : data.schema().fields) {
      torch::Tensor wanted = expected[f.name];
      if (f.variable) {
        EXPECT_EQ(found[f.name + "_length"].item<int64_t>(), wanted.size(1)) << f.name << i;
        std::vector<int64_t> rest{1, f.shape[0] - wanted.size(1)};
        rest.insert(rest.end(), f.shape.begin() + 1, f.shape.end());
        wanted = torch::cat({wanted, torch::zeros(rest, f.dtype)}, 1);
      }
      EXPECT_EQ(
          std::memcmp(found[f.name].const_data_ptr(), wanted.contiguous().const_data_ptr(), wanted.nbytes()),
          0)
          << f.name << " of sample " << i;
    }
  }
}

class EveryFormat : public testing::TestWithParam<int64_t> {};

TEST_P(EveryFormat, GivesBackFieldsOfEveryKind) {
  const Folder folder;
  EXPECT_GT(write(folder, GetParam()).shards.size(), 2U);
  expect_samples(*open_shards(folder.path()));
  EXPECT_TRUE(audit(folder.path()).problems.empty());
}

// 1,000 flips of a random bit and truncations to a random length: what is read is what was written, or an
// error that names the shard.
TEST_P(EveryFormat, NeverReadsWhatIsDamaged) {
  const Folder folder;
  write(folder, GetParam(), 1 << 20);
  const std::string path = folder / "shard-00000.h5", intact = read_file(path);
  std::vector<int64_t> all(kSamples);
  for (int64_t i = 0; i < kSamples; ++i) all[size_t(i)] = i;
  const Batch expected = open_shards(folder.path())->read(all);
  std::mt19937 random(1);
  int found = 0;
  for (int i = 0; i < 1000; ++i) {
    std::string bytes = intact;
    const size_t at = random() % intact.size();
    if (i % 5 == 0)
      bytes.resize(at);
    else
      bytes[at] = char(bytes[at] ^ 1 << random() % 8);
    test::put(path, bytes);
    try {
      const Batch now = open_shards(folder.path())->read(all);
      for (const auto& [name, tensor] : now)
        ASSERT_EQ(std::memcmp(tensor.const_data_ptr(), expected[name].const_data_ptr(), tensor.nbytes()), 0)
            << "byte " << at << " of " << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind, Exit::data);
      EXPECT_THAT(error.what(), HasSubstr("shard-00000.h5"));
      ++found;
    }
  }
  EXPECT_GT(found, 300) << "of 1000; the others fell on padding and HDF5's own headers";
  RecordProperty("found", found);
}

INSTANTIATE_TEST_SUITE_P(Compression, EveryFormat, testing::Values(0, 1, 9));

TEST(Format, CompressionSavesBytesAndKeepsTheFingerprint) {
  const Folder plain, packed;
  const auto put = [](const Folder& folder, int64_t compress) {
    const Schema even{{field("image", {1, 32, 32}, torch::kByte, false)}};
    ShardWriter writer(folder.path(), even, 1 << 20, compress);
    for (int64_t i = 0; i < 64; ++i) writer.append({{"image", torch::full({1, 1, 32, 32}, i, torch::kByte)}});
    return writer.finish({});
  };
  const Index a = put(plain, 0), b = put(packed, 6);
  EXPECT_EQ(a.fingerprint, b.fingerprint);
  EXPECT_LT(b.shards[0].bytes * 4, a.shards[0].bytes);
}

TEST(Format, OneIsStillRead) {
  const std::string folder = SADDLE_SOURCE_DIR "/tests/data/golden/format-1";
  const auto data = open_shards(folder);
  EXPECT_EQ(data->size(), 12);
  EXPECT_EQ(describe(data->schema()), "x float32 [2]");
  EXPECT_TRUE(data->read({3, 11})["x"].norm(2, {1}).sub(1).abs().lt(0.1).all().item<bool>());  // on the ring
  EXPECT_TRUE(audit(folder).problems.empty());
}

TEST(Format, ThreeIsRefused) {
  const Folder folder;
  write(folder, 0);
  auto index = nlohmann::json::parse(read_file(folder / "dataset.json"));
  index["format"] = 3;
  test::put(folder / "dataset.json", index.dump());
  EXPECT_THAT(error_of([&] { open_shards(folder.path()); }), HasSubstr("found 3: use a newer saddle"));
}

TEST(Format, AnIndexThatPointsOutsideTheFileIsRefused) {
  const Folder folder;
  write(folder, 0);
  const auto good = nlohmann::json::parse(read_file(folder / "dataset.json"));
  for (const char* key : {"bytes", "checksums", "data", "ends"})
    for (const int64_t value : {int64_t{-8}, int64_t{1} << 59, int64_t{1} << 62, int64_t{12345678}}) {
      auto index = good;
      auto& extents = index["shards"][1]["extents"];
      extents[3][key] = value;
      test::put(folder / "dataset.json", index.dump());
      EXPECT_THAT(error_of([&] { open_shards(folder.path()); }), HasSubstr("dataset.json")) << key << value;
    }
}

// Full at many places: data, checksums and headers are written at different moments.
TEST(Format, AFullDiskIsNamedWhereverItIsFull) {
  if (!test::can_mount()) GTEST_SKIP() << "only root mounts a small disk";
  const Folder folder;
  Batch samples;
  samples.set("image", uniform({1, "image"}, {0, 60}, {3, 64, 64}, torch::kFloat).mul(256).to(torch::kByte));
  const auto error_on = [&](int64_t kib, int64_t compress) {
    const test::SmallDisk disk(folder.path(), fmt::format("{}k", kib));
    test::put(folder / "other", std::string(4096, 'x'));  // at 4 KiB there is no room for a header
    return error_of([&] {
      ShardWriter writer(folder.path(), {{field("image", {3, 64, 64}, torch::kByte, false)}}, 1 << 20,
                         compress);
      writer.append(samples);
      writer.finish({{"source", "test"}});
    });
  };
  for (const int64_t compress : {0, 1}) {
    int64_t kib = 4;
    for (std::string error; !(error = error_on(kib, compress)).empty(); kib += 20)
      EXPECT_THAT(error, EndsWith("cannot write: No space left on device"))
          << kib << " KiB, compress " << compress;
    EXPECT_GT(kib, 500);  // the pixels alone are 720
  }
}

}  // namespace
}  // namespace saddle
