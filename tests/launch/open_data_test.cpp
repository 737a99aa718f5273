// What the keys of data.* make of a data set: which samples, in which frames, kept from training or not.
#include "launch/run/open_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "data/feed/loader.h"
#include "dist/error.h"
#include "tests/support/images.h"

namespace saddle {
namespace {

using testing::HasSubstr;

// Sample i is the number i; a field of bytes of length i % 5 where that is asked for.
std::shared_ptr<Dataset> numbers(int64_t count, bool variable = false) {
  const torch::Tensor index = torch::arange(count);
  Schema schema{{{.name = "x", .shape = {1}, .dtype = torch::kFloat, .class_names = {}}}};
  Batch samples{{"x", index.to(torch::kFloat).unsqueeze(1)}};
  if (variable) {
    schema.fields.push_back(
        {.name = "text", .shape = {4}, .dtype = torch::kByte, .class_names = {}, .variable = true});
    samples.set("text", torch::ones({count, 4}, torch::kByte));
    samples.set("text_length", index.remainder(5));
  }
  return in_memory(schema, samples);
}

std::multiset<int64_t> seen(const TrainOptions& options, int64_t count) {
  const Feed made = feed(numbers(count), options);
  std::multiset<int64_t> all;
  for (int64_t i = 0; i < made.data->size(); ++i)
    all.insert(made.data->read({made.order(i)})["x"][0][0].item<int64_t>());
  return all;
}

TrainOptions options() {
  TrainOptions made;
  made.system = "gan-ns";
  return made;
}

std::string refused(const TrainOptions& options, const std::shared_ptr<Dataset>& data) try {
  feed(data, options);
  return "nothing was refused";
} catch (const Error& error) {
  EXPECT_EQ(error.kind, Exit::usage);
  return error.what();
}

TEST(DataKeys, ASubsetIsTheSeeds) {
  TrainOptions o = options();
  o.subset = 10;
  const auto one = seen(o, 40);
  EXPECT_EQ(one.size(), 10);
  EXPECT_EQ(std::set<int64_t>(one.begin(), one.end()).size(), 10);
  EXPECT_EQ(seen(o, 40), one);
  o.seed = 1;
  EXPECT_NE(seen(o, 40), one);
  o.subset = 41;
  EXPECT_THAT(refused(o, numbers(40)), HasSubstr("data.subset = 41 of 40"));
}

TEST(DataKeys, WhatIsHeldOutIsNeverTrainedOnWhateverTheSeed) {
  TrainOptions o = options();
  o.held_out = 0.25;
  std::set<int64_t> kept;
  const auto held = held_out(numbers(40), o);
  ASSERT_EQ(held->size(), 10);
  for (int64_t i = 0; i < 10; ++i) kept.insert(held->read({i})["x"][0][0].item<int64_t>());
  for (const int64_t seed : {0, 1, 2}) {
    o.seed = seed;
    const auto trained = seen(o, 40);
    EXPECT_EQ(trained.size(), 30);
    EXPECT_TRUE(std::none_of(trained.begin(), trained.end(), [&](int64_t x) { return kept.contains(x); }));
    o.subset = 20;
    EXPECT_EQ(seen(o, 40).size(), 20);
    o.subset = 0;
  }
  o.held_out = 0;
  EXPECT_EQ(held_out(numbers(40), o), nullptr);
  o.held_out = 0.9;
  EXPECT_THAT(refused(o, numbers(2)), HasSubstr("leaves nothing to train on"));
}

TEST(DataKeys, FramesAreConsecutiveAndNoHeldOutOneIsTrainedOn) {
  TrainOptions o = options();
  o.frames = 3;
  o.stride = 2;
  const Feed made = feed(numbers(9), o);
  EXPECT_EQ(made.data->size(), 4);
  EXPECT_EQ(made.schema()["x"].shape, (std::vector<int64_t>{3, 1}));
  EXPECT_TRUE(made.data->read({1})["x"].flatten().equal(torch::tensor({2.F, 3.F, 4.F})));
  o.held_out = 0.3;
  EXPECT_THAT(refused(o, numbers(9)), HasSubstr("set data.stride to 3"));
  o = options();
  o.stride = 2;
  EXPECT_THAT(refused(o, numbers(9)), HasSubstr("data.stride is for data.frames"));
}

TEST(DataKeys, ClipsAreOfFieldsOfVariableLength) {
  TrainOptions o = options();
  o.clip_steps = 2;
  const Feed made = feed(numbers(20, /*variable=*/true), o);
  EXPECT_EQ(made.schema()["text"].shape, (std::vector<int64_t>{2}));
  Loader loader({made}, {.batch = 20});
  const Batch batch = loader.next();
  EXPECT_EQ(batch["text"].sizes(), (std::vector<int64_t>{20, 2}));
  EXPECT_EQ(batch["text_length"].max().item<int64_t>(), 2);
  EXPECT_THAT(refused(o, numbers(20)), HasSubstr("variable length"));
}

TEST(DataKeys, FewLabelsAreForClassifiers) {
  TrainOptions o = options();
  o.labels = 1;
  EXPECT_THAT(refused(o, test::images(10)), HasSubstr("pi-model and temporal-ensembling, this is gan-ns"));
  o.system = "pi-model";
  const Feed made = feed(test::images(30), o);
  EXPECT_TRUE(made.schema().has("id"));
  std::vector<int64_t> all(30);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(made.data->read(all)["label"].ge(0).sum().item<int64_t>(), 3);
}

}  // namespace
}  // namespace saddle
