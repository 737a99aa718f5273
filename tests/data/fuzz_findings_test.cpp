// What tests/fuzz has found, as small as it came: each once crashed, overflowed or took memory for what was
// only claimed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "data/pack/importers.h"
#include "data/store/index.h"
#include "data/store/shard.h"
#include "data/store/shard_file.h"
#include "tests/data/archive.h"
#include "tests/data/folder.h"

namespace saddle {
namespace {

using test::error_of;
using testing::HasSubstr;

std::string words(const std::vector<int64_t>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(int64_t)};
}

std::string nested(size_t levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

// A data set without samples, with something put in.
std::string index_text(const std::string& extent_of_shape, const std::string& provenance) {
  return R"({"format": 2, "count": 0, "fingerprint": "", "shards": [], "provenance": )" + provenance +
         R"(, "schema": {"fields": [{"name": "x", "dtype": "uint8", "shape": [)" + extent_of_shape + "]}]}}";
}

// Three samples of a variable field: ends, then checksums, then four rows of one byte.
struct Variable {
  Variable(int64_t longest, const std::vector<int64_t>& ends) {
    test::put(path, words(ends) + words({1, 2, 3}) + "rows");
    schema.fields.push_back(
        {.name = "x", .shape = {longest}, .dtype = torch::kByte, .class_names = {}, .variable = true});
    const Column column{.checksums = {1, 2, 3}};
    info = {.file = "s",
            .count = 3,
            .bytes = 52,
            .digest = shard_digest({column}),
            .extents = {{.bytes = 4, .data = 48, .checksums = 24, .ends = 0}}};
  }

  test::Folder folder;
  std::string path = folder / "s";
  Schema schema;
  ShardInfo info;
};

TEST(FuzzFindings, IndexNestedDeeperThanTheStackIsRefused) {
  const std::string text = index_text("1", nested(200'000));
  EXPECT_THAT(error_of([&] { parse_index(text); }), HasSubstr("nested too deeply"));
  EXPECT_NO_THROW(parse_index(index_text("1", nested(20))));
  EXPECT_NO_THROW(parse_index(index_text("1", '"' + std::string(200, '[') + R"(\")" + '"'))) << "in a text";
}

TEST(FuzzFindings, NumbersOfAnIndexThatAreNoIntegersAreRefused) {
  for (const char* extent : {"1e300", "9.22337e19", "1.5", "true", "\"1\"", "[1]"})
    EXPECT_THAT(error_of([&] { parse_index(index_text(extent, "{}")); }), HasSubstr("expected an integer"))
        << extent;
}

TEST(FuzzFindings, FewerThanNoClassesAreRefused) {
  const auto field =
      nlohmann::json::parse(R"({"fields": [{"name": "x", "dtype": "int64", "shape": [], "classes": -5}]})");
  EXPECT_THAT(error_of([&] { schema_from_json(field); }), HasSubstr("-5 classes"));
}

TEST(FuzzFindings, EndsWhoseDifferenceOverflowsAreDamage) {
  constexpr int64_t kLeast = INT64_MIN, kMost = INT64_MAX;
  for (const auto& ends : {std::vector<int64_t>{kLeast, 2, 4}, {0, kMost, kLeast}, {kMost, -2, 4}}) {
    const Variable made(4, ends);
    const Shard shard(made.path, made.schema, made.info);
    const std::string error = error_of([&] {
      for (int64_t row = 0; row < 3; ++row) shard.length(0, row);
    });
    EXPECT_THAT(error, HasSubstr("is damaged: expected up to 4 rows"));
  }
}

TEST(FuzzFindings, VerifyingTakesMemoryForTheDataNotForTheSchema) {
  const Variable made(int64_t{1} << 46, {2, 2, 4});
  const std::string error = error_of([&] { verify_shard(made.path, made.schema, made.info); });
  EXPECT_THAT(error, HasSubstr("expected checksum 0000000000000001"));
}

TEST(FuzzFindings, TableOfPicturesNestedDeeperThanTheStackIsRefused) {
  const test::Folder folder;
  const std::string path = folder / "x.zip";
  test::put_zip(path,
                {{"a.png", ""}, {"dataset.json", R"({"labels": [["a.png", )" + nested(200'000) + "]]}"}});
  EXPECT_TRUE(kStyleGan.accepts({.source = path}));
  EXPECT_THAT(error_of([&] { kStyleGan.open({.source = path}); }), HasSubstr("nested too deeply"));
}

}  // namespace
}  // namespace saddle
