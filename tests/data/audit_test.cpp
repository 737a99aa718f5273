// The audit of `saddle check`, on one rank and on two: each planted fault is found, and figures are what
// plain sums give.
#include "data/check/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "data/store/shard_writer.h"
#include "dist/random.h"
#include "tests/data/samples.h"
#include "tests/support/shared_folder.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using test::every_dtype;
using test::field;
using test::labelled_points;
using test::samples;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Rank 0 changes what is in the folder.
class AuditTest : public testing::Test {
 protected:
  void on_rank_0(const std::function<void()>& work) {
    comm_.together([&] {
      if (comm_.rank() == 0) work();
    });
  }

  void write(const Schema& schema, const Batch& batch, int64_t shard_bytes, const std::string& name = "") {
    on_rank_0([&] {
      fs::create_directories(path(name));
      ShardWriter writer(path(name), schema, shard_bytes);
      writer.append(batch);
      writer.finish({{"source", "test"}});
    });
  }

  // 25 labelled points of 88 bytes in shards of 10.
  void write_points(const std::string& name = "", uint64_t seed = 0) {
    write(labelled_points(), samples(labelled_points(), 25, seed), 10 * 88, name);
  }

  void edit_index(const std::function<void(Index&)>& edit) {
    on_rank_0([&] {
      Index index = read_index(folder_);
      edit(index);
      index.count = 0;
      for (const ShardInfo& shard : index.shards) index.count += shard.count;
      write_index(folder_, index);
    });
  }

  std::string path(const std::string& name) const { return name.empty() ? folder_ : folder_ + "/" + name; }

  // What the audit finds, which must be the same on all ranks.
  std::vector<std::string> problems() {
    const Audit found = audit(folder_, comm_);
    const nlohmann::json mine = found.problems;
    for (const std::string& theirs : comm_.all_gather_text(mine.dump())) EXPECT_EQ(theirs, mine.dump());
    return found.problems;
  }

  void flip(const std::string& name, const torch::Tensor& value, size_t offset = 0) {
    on_rank_0([&] {
      std::string bytes = read_file(path(name));
      const size_t at =
          bytes.find(std::string(static_cast<const char*>(value.const_data_ptr()), value.nbytes()));
      ASSERT_NE(at, std::string::npos);
      bytes[at + offset] ^= 1;
      test::put(path(name), bytes);
    });
  }

  const Comm comm_ = test::world().comm("cpu");
  const test::SharedFolder shared_{comm_};
  const std::string folder_ = shared_.path();
};

TEST_F(AuditTest, GivesTheFiguresOfEveryField) {
  const Batch batch = samples(every_dtype(), 203);
  write(every_dtype(), batch, 4000);
  const Audit found = audit(folder_, comm_, 2);
  EXPECT_THAT(found.problems, IsEmpty());
  for (size_t f = 0; f < found.fields.size(); ++f) {
    const Field field = every_dtype().fields[f];
    const torch::Tensor values = batch[field.name].to(torch::kDouble);
    const Tally& figures = found.fields[f].values;
    EXPECT_EQ(figures.count, values.numel()) << field.name;
    EXPECT_EQ(figures.min, values.min().item<double>()) << field.name;
    EXPECT_EQ(figures.max, values.max().item<double>()) << field.name;
    EXPECT_EQ(figures.zeros, values.eq(0).sum().item<int64_t>()) << field.name;
    EXPECT_NEAR(figures.mean, values.mean().item<double>(), 1e-9) << field.name;
    EXPECT_NEAR(figures.deviation(), std::sqrt(values.var(/*unbiased=*/false).item<double>()), 1e-9)
        << field.name;
  }
  std::map<int64_t, int64_t> classes;
  for (int64_t i = 0; i < 203; ++i) ++classes[batch["label"][i].item<int64_t>()];
  EXPECT_EQ(found.fields[4].per_class, classes);
}

TEST_F(AuditTest, IsTheSameOnAnyNumberOfRanksAndThreads) {
  write(every_dtype(), samples(every_dtype(), 203), 4000);
  const Audit together = audit(folder_, comm_, 3), alone = audit(folder_);
  ASSERT_EQ(together.fields.size(), alone.fields.size());
  for (size_t f = 0; f < alone.fields.size(); ++f)
    EXPECT_EQ(to_json(together.fields[f]).dump(), to_json(alone.fields[f]).dump());
}

TEST_F(AuditTest, NamesTheFieldAndSampleOfEveryFlippedByte) {
  write_points();
  const torch::Tensor victim = samples(labelled_points(), 25)["x"][14];
  for (const size_t byte : {0, 31, 63}) {
    flip("shard-00001.h5", victim, byte);
    EXPECT_THAT(problems(), ElementsAre(AllOf(HasSubstr(path("shard-00001.h5")), HasSubstr("field x"),
                                              HasSubstr("sample 4"))));
    on_rank_0([&] { fs::remove_all(folder_); });
    write_points();
  }
}

TEST_F(AuditTest, NamesMissingTruncatedAndForeignShardsAtOnce) {
  write_points();
  write_points("other", 1);
  on_rank_0([&] {
    fs::remove(path("shard-00000.h5"));
    fs::copy_file(path("other/shard-00001.h5"), path("shard-00001.h5"), fs::copy_options::overwrite_existing);
    fs::resize_file(path("shard-00002.h5"), 4200);
  });
  EXPECT_THAT(problems(), ElementsAre(AllOf(HasSubstr("shard-00000.h5"), HasSubstr("No such file")),
                                      HasSubstr("shard-00001.h5"),
                                      AllOf(HasSubstr("shard-00002.h5"), HasSubstr("found 4200"))));
}

TEST_F(AuditTest, NamesAFileListedTwice) {
  write_points();
  edit_index([](Index& index) { index.shards[2] = index.shards[0]; });
  EXPECT_THAT(problems(),
              testing::Contains(AllOf(HasSubstr("lists shard-00000.h5 twice"), HasSubstr("shards 0 and 2"))));
}

TEST_F(AuditTest, NamesShardsThatHoldTheSameSamples) {
  write_points();
  on_rank_0([&] { fs::copy_file(path("shard-00000.h5"), path("shard-00003.h5")); });
  edit_index([](Index& index) {
    index.shards.push_back(index.shards[0]);
    index.shards.back().file = "shard-00003.h5";
  });
  EXPECT_THAT(problems(), testing::Contains(AllOf(HasSubstr("shard-00000.h5 and shard-00003.h5"),
                                                  HasSubstr("same samples"))));
}

TEST_F(AuditTest, NamesFilesThatAreNotInTheIndex) {
  write_points();
  on_rank_0([&] {
    fs::copy_file(path("shard-00001.h5"), path("shard-00007.h5"));
    test::put(path("stray.h5"), "no shard");
    test::put(path("shard-00002.h5.tmp"), "half of one");
    test::put(path("README"), "is nobody's concern");
  });
  EXPECT_THAT(problems(), ElementsAre(AllOf(HasSubstr("shard-00007.h5"), HasSubstr("copy of shard-00001.h5")),
                                      AllOf(HasSubstr("stray.h5"), HasSubstr("not in dataset.json"))));
  EXPECT_THAT(audit(folder_, comm_).notes, ElementsAre(HasSubstr("interrupted pack")));
}

TEST_F(AuditTest, NoticesShardsInAnotherOrder) {
  write_points();
  edit_index([](Index& index) { std::swap(index.shards[0], index.shards[1]); });
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("fingerprint")));
}

TEST_F(AuditTest, NamesLabelsAndTokensOutOfRange) {
  const Schema schema{
      .fields = {field("tokens", {4}, torch::kShort, 10), field("label", {}, torch::kLong, 5)}};
  Batch bad = samples(schema, 6);
  bad["label"].select(0, 4).fill_(5);
  bad["tokens"][2][3] = -1;
  write(schema, bad, 1 << 20);
  EXPECT_THAT(problems(),
              ElementsAre(AllOf(HasSubstr("field tokens of sample 2"), HasSubstr("below 10, found -1")),
                          AllOf(HasSubstr("field label of sample 4"), HasSubstr("below 5, found 5"))));
}

TEST_F(AuditTest, NamesSamplesThatAreNotFinite) {
  Batch bad = samples(labelled_points(), 25);
  bad["x"][12][3] = std::numeric_limits<float>::quiet_NaN();
  bad["x"][12][4] = -std::numeric_limits<float>::infinity();
  write(labelled_points(), bad, 10 * 88);
  EXPECT_THAT(problems(), ElementsAre(AllOf(HasSubstr("shard-00001.h5"), HasSubstr("field x of sample 2"),
                                            HasSubstr("1 values are NaN, 1 infinite"))));
  const Tally figures = audit(folder_, comm_).fields[0].values;
  EXPECT_EQ(figures.nans, 1);
  EXPECT_EQ(figures.infinities, 1);
  EXPECT_EQ(figures.count, 25 * 16 - 2);
  EXPECT_TRUE(std::isfinite(figures.mean) && std::isfinite(figures.deviation()));
}

TEST_F(AuditTest, TellsTheFirstOfManyProblemsAndCountsTheOthers) {
  Batch bad = samples(labelled_points(), 40);
  bad["label"].fill_(-1);
  write(labelled_points(), bad, 1 << 20);
  const auto found = problems();
  ASSERT_EQ(found.size(), 11U);
  EXPECT_THAT(found.back(), HasSubstr("30 more"));
}

TEST_F(AuditTest, NotesBlankAndRepeatedPictures) {
  const Schema schema{.fields = {field("image", {3, 4, 4}, torch::kByte)}};
  Batch batch = samples(schema, 20);
  batch["image"][3].fill_(9);
  batch["image"][17].select(0, 0).fill_(1), batch["image"][17].narrow(0, 1, 2).fill_(2);
  batch["image"][11].copy_(batch["image"][5]);
  batch["image"][19].copy_(batch["image"][5]);
  write(schema, batch, 7 * (48 + 8));
  const Audit found = audit(folder_, comm_);
  EXPECT_THAT(found.problems, IsEmpty());
  EXPECT_EQ(found.fields[0].constant, 2);
  EXPECT_THAT(found.fields[0].first_constant, ElementsAre(3, 17));
  EXPECT_EQ(found.copies.count, 2);
  EXPECT_THAT(found.copies.first,
              ElementsAre(std::pair(int64_t{5}, int64_t{11}), std::pair(int64_t{5}, int64_t{19})));
  EXPECT_THAT(found.notes, ElementsAre(HasSubstr("blank in 2 samples: 3, 17"), HasSubstr("5 = 11, 5 = 19")));
}

TEST_F(AuditTest, CountsSamplesOfOneSetInAnother) {
  const Batch all = samples(labelled_points(), 30);
  Batch part;
  for (const auto& [name, tensor] : all) part.set(name, tensor.narrow(0, 20, 10).contiguous());
  write_points("train");  // the first 25 of these
  write(labelled_points(), part, 1 << 20, "validation");
  EXPECT_EQ(shared_samples(path("train"), path("validation"), comm_), 5);
  EXPECT_EQ(shared_samples(path("validation"), path("train"), comm_), 5);
}

TEST_F(AuditTest, FailsAlikeWithoutAnIndex) {
  EXPECT_THAT(test::error_of([&] { audit(folder_, comm_); }), HasSubstr("saddle pack"));
}

template <class T>
Tally plain(const std::vector<T>& values) {
  Tally out;
  for (const T each : values) {
    const auto value = double(each);
    if (!std::isfinite(value)) {
      ++(std::isnan(value) ? out.nans : out.infinities);
      continue;
    }
    ++out.count, out.zeros += value == 0, out.mean += value;
    out.min = std::min(out.min, value), out.max = std::max(out.max, value);
  }
  out.mean /= double(out.count);
  for (const T each : values)
    if (std::isfinite(double(each))) out.squares += std::pow(double(each) - out.mean, 2);
  return out;
}

void expect_same(const Tally& a, const Tally& b) {
  EXPECT_EQ(std::tuple(a.count, a.zeros, a.nans, a.infinities, a.min, a.max),
            std::tuple(b.count, b.zeros, b.nans, b.infinities, b.min, b.max));
  EXPECT_NEAR(a.mean, b.mean, 1e-9 * (1 + std::fabs(b.mean)));
  EXPECT_NEAR(a.squares, b.squares, 1e-9 * (1 + b.squares));
}

TEST(Tally, MergedPartsAreTheWhole) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN(),
                   kInfinity = std::numeric_limits<double>::infinity();
  std::vector<double> values{0, -3.5, 1e9, kNan, 7, -kInfinity, 1e9 + 1, 0, kInfinity, -0.0, 12};
  for (size_t cut = 0; cut <= values.size(); ++cut) {
    Tally parts = tally(torch::kDouble, values.data(), int64_t(cut));
    parts.merge(tally(torch::kDouble, values.data() + cut, int64_t(values.size() - cut)));
    expect_same(parts, plain(values));
    EXPECT_EQ(tally_from_json(nlohmann::json::parse(to_json(parts).dump())), parts);
  }
}

TEST(Tally, KnowsTheEndsOfEveryInteger) {
  const auto check = []<class T>(torch::ScalarType dtype, T) {
    const std::vector<T> values{std::numeric_limits<T>::min(), 0, 1, std::numeric_limits<T>::max(), 5};
    for (size_t count = 1; count <= values.size(); ++count)
      expect_same(tally(dtype, values.data(), int64_t(count)),
                  plain(std::vector<T>(values.begin(), values.begin() + long(count))));
  };
  check(torch::kByte, uint8_t{}), check(torch::kChar, int8_t{}), check(torch::kUInt16, uint16_t{});
  check(torch::kShort, int16_t{}), check(torch::kInt, int32_t{}), check(torch::kLong, int64_t{});
}

}  // namespace
}  // namespace saddle
