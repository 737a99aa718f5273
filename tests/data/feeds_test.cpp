// Several feeds in one loader, and what its readers do to samples on the way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/feed/convert.h"
#include "data/feed/loader.h"
#include "dist/random.h"
#include "tests/data/folder.h"
#include "tests/support/images.h"

namespace saddle {
namespace {

using test::error_of;
using testing::HasSubstr;

std::shared_ptr<Dataset> domain(const std::string& name, int64_t count, int64_t side = 4) {
  return named(name, test::images(count, side));
}

Batch next(std::vector<Feed> feeds, int64_t batches = 1, LoaderOptions options = {.batch = 8}) {
  Loader loader(std::move(feeds), options);
  for (int64_t i = 1; i < batches; ++i) loader.next();
  return loader.next();
}

TEST(Feeds, NameTheirFields) {
  const Schema schema = domain("a", 5)->schema();
  EXPECT_EQ(schema.fields[0].name, "a");
  EXPECT_EQ(schema.fields[1].name, "a_label");
  EXPECT_THAT(error_of([] {
                schema_of({{domain("a", 5), sequential(5)}, {domain("a", 5), sequential(5)}});
              }),
              HasSubstr("two feeds have a field a"));
}

TEST(Feeds, RunOnIndependentlyWhateverTheirLengths) {
  const auto a = domain("a", 10), b = domain("b", 7);
  const std::vector<Feed> both{{a, Shuffle(10, 1)}, {b, Shuffle(7, 2)}};
  for (const int64_t batches : {1, 2, 5, 40}) {
    const Batch together = next(both, batches);
    for (size_t f = 0; f < 2; ++f) {
      const Batch alone = next({both[f]}, batches);
      for (const auto& [name, tensor] : alone) EXPECT_TRUE(torch::equal(together[name], tensor)) << name;
    }
  }
}

TEST(Feeds, SideBySideAreOneDataSet) {
  const auto a = domain("a", 10), b = domain("b", 7);
  const auto both = side_by_side({{a, {}}, {b, {}}});
  EXPECT_EQ(both->size(), 10);
  EXPECT_TRUE(torch::equal(both->read({9})["b"], b->read({2})["b"]));
  EXPECT_NE(both->fingerprint(), side_by_side({{b, {}}, {a, {}}})->fingerprint());
  EXPECT_EQ(side_by_side({{a, {}}}), a);
}

TEST(Feeds, ResumeInTheMiddle) {
  const std::vector<Feed> both{{domain("a", 10), Shuffle(10, 1), {mirror(4)}},
                               {domain("b", 7), Shuffle(7, 2), {crop(2, 3, 4)}}};
  Loader first(both, {.batch = 4, .threads = 2});
  for (int i = 0; i < 6; ++i) first.next();
  const State saved = collect([&](StateVisitor& v) { first.visit(v); });
  Loader second(both, {.batch = 4, .threads = 3, .prefetch = 7});
  second.next();
  restore([&](StateVisitor& v) { second.visit(v); }, saved);
  for (int i = 0; i < 10; ++i) {
    const Batch expected = first.next(), found = second.next();
    for (const auto& [name, tensor] : expected) EXPECT_TRUE(torch::equal(found[name], tensor)) << name;
  }
}

// ---- transforms

Feed pictures(std::vector<Transform> transforms, int64_t count = 6, int64_t side = 5) {
  return {test::images(count, side), sequential(count), std::move(transforms)};
}

TEST(Mirror, SwapsLeftAndRightOfAboutHalfAndDiffersByEpoch) {
  int64_t swapped = 0, kept = 0, changed = 0;
  std::vector<bool> before(6);
  Loader plain({pictures({})}, {.batch = 6}), mirrored({pictures({mirror(3)})}, {.batch = 6});
  for (int64_t epoch = 0; epoch < 200; ++epoch) {
    const torch::Tensor as_is = plain.next()["image"], other = mirrored.next()["image"];
    for (int64_t s = 0; s < 6; ++s) {
      const bool flipped = torch::equal(other[s], as_is[s].flip(-1));
      EXPECT_TRUE(flipped || torch::equal(other[s], as_is[s]));
      ++(flipped ? swapped : kept);
      changed += flipped != before[size_t(s)];
      before[size_t(s)] = flipped;
    }
  }
  EXPECT_NEAR(double(swapped), 600, 90);  // 5 deviations
  EXPECT_NEAR(double(changed), 600, 90);
  EXPECT_EQ(swapped + kept, 1200);
}

TEST(Crop, TakesAPartFromEverywhere) {
  Loader plain({pictures({})}, {.batch = 6}), cropped({pictures({crop(3, 4, 1)})}, {.batch = 6});
  std::vector<int64_t> places(6);
  for (int batch = 0; batch < 100; ++batch) {
    const torch::Tensor whole = plain.next()["image"], part = cropped.next()["image"];
    ASSERT_EQ(part.sizes(), (std::vector<int64_t>{6, 1, 3, 4}));
    for (int64_t s = 0; s < 6; ++s) {
      int64_t matches = 0;
      for (int64_t y = 0; y < 3; ++y)
        for (int64_t x = 0; x < 2; ++x)
          if (torch::equal(part[s], whole[s].narrow(1, y, 3).narrow(2, x, 4)))
            ++places[size_t(y * 2 + x)], ++matches;
      ASSERT_EQ(matches, 1);
    }
  }
  for (const int64_t count : places) EXPECT_NEAR(double(count), 100, 46);  // 5 deviations
}

TEST(Transforms, AgreeOverRanksAndThreads) {
  const auto feed = [] { return std::vector<Feed>{pictures({crop(4, 4, 9), mirror(9)}, 50)}; };
  const Batch alone = next(feed(), 9, {.batch = 8});
  for (const int ranks : {2, 3}) {
    std::vector<torch::Tensor> parts;
    for (int rank = 0; rank < ranks; ++rank)
      parts.push_back(next(feed(), 9, {.batch = 8, .rank = rank, .size = ranks, .threads = 3})["image"]);
    EXPECT_TRUE(torch::equal(torch::cat(parts), alone["image"]));
  }
}

TEST(Transforms, KeepPairsAndMasksAligned) {
  const int64_t side = 6;
  Schema schema;
  schema.fields = {{.name = "a", .shape = {3, side, side}, .dtype = torch::kByte, .class_names = {}},
                   {.name = "b", .shape = {1, side, side}, .dtype = torch::kUInt16, .class_names = {}},
                   {.name = "mask", .shape = {side, side}, .dtype = torch::kLong, .class_names = {}},
                   {.name = "vector", .shape = {side}, .dtype = torch::kFloat, .class_names = {}}};
  const torch::Tensor index = torch::arange(side * side).view({1, side, side}).expand({4, side, side});
  const auto data = in_memory(schema, {{"a", index.unsqueeze(1).expand({4, 3, side, side}).to(torch::kByte)},
                                       {"b", index.unsqueeze(1).to(torch::kUInt16)},
                                       {"mask", index.to(torch::kLong).contiguous()},
                                       {"vector", torch::arange(side).to(torch::kFloat).expand({4, side})}});
  const Batch batch = next({{data, sequential(4), {crop(3, 4, 1), mirror(2)}}}, 5, {.batch = 4});
  const torch::Tensor mask = batch["mask"];
  EXPECT_EQ(mask.sizes(), (std::vector<int64_t>{4, 3, 4}));
  EXPECT_TRUE(
      torch::equal(batch["a"].select(1, 2), to_model(mask.to(torch::kByte), torch::kCPU, torch::kFloat)));
  EXPECT_TRUE(
      torch::equal(batch["b"].select(1, 0), to_model(mask.to(torch::kUInt16), torch::kCPU, torch::kFloat)));
  EXPECT_TRUE(torch::equal(batch["vector"][0], torch::arange(side).to(torch::kFloat)));
}

TEST(Transforms, RefuseWhatTheyCannotTreat) {
  EXPECT_THAT(error_of([] { pictures({crop(6, 5, 0)}).schema(); }), HasSubstr("from pictures of 5x5"));
  Schema points;
  points.fields = {{.name = "x", .shape = {2}, .dtype = torch::kFloat, .class_names = {}}};
  EXPECT_THAT(error_of([&] { mirror(0).schema(points); }), HasSubstr("for pictures"));
  EXPECT_THAT(error_of([&] { clip("x", 2, 0).schema(points); }), HasSubstr("not variable"));
}

TEST(Clip, TakesConsecutiveStepsOfAVariableField) {
  Schema schema;
  schema.fields = {
      {.name = "video", .shape = {8, 2}, .dtype = torch::kInt, .class_names = {}, .variable = true}};
  torch::Tensor steps = torch::arange(8).view({1, 8, 1}).expand({3, 8, 2}).to(torch::kInt).contiguous();
  steps[1].narrow(0, 2, 6).zero_();
  const auto data = in_memory(schema, {{"video", steps}, {"video_length", torch::tensor({8L, 2L, 3L})}});
  Loader loader({{data, sequential(3), {clip("video", 3, 1)}}}, {.batch = 3});
  std::vector<int> starts(6);
  for (int batch = 0; batch < 200; ++batch) {
    const Batch found = loader.next();
    ASSERT_EQ(found["video"].sizes(), (std::vector<int64_t>{3, 3, 2}));
    const int first = found["video"][0][0][0].item<int>();
    for (int t = 0; t < 3; ++t) ASSERT_EQ(found["video"][0][t][1].item<int>(), first + t);
    ++starts.at(size_t(first));
    EXPECT_EQ(found["video"][1][1][0].item<int>(), 1);
    EXPECT_EQ(found["video"][1][2][0].item<int>(), 0) << "not padded";
    EXPECT_TRUE(torch::equal(found["video_length"], torch::tensor({3L, 2L, 3L})));
  }
  for (const int count : starts) EXPECT_GT(count, 10);  // 33 are expected
}

}  // namespace
}  // namespace saddle
