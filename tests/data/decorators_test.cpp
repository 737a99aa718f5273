#include "data/feed/decorators.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "tests/data/folder.h"

namespace saddle {
namespace {

using test::error_of;
using testing::HasSubstr;

// `count` samples: x = (i, -i), label = i, and the sequence that `sequence_of` tells.
std::shared_ptr<Dataset> numbers(int64_t count, const std::vector<int64_t>& sequence_of = {}) {
  const torch::Tensor index = torch::arange(count);
  Schema schema;
  schema.fields = {
      {.name = "x", .shape = {2}, .dtype = torch::kFloat, .class_names = {}},
      {.name = "label", .shape = {}, .dtype = torch::kLong, .classes = count, .class_names = {}}};
  Batch samples{{"x", torch::stack({index, -index}, 1).to(torch::kFloat)}, {"label", index}};
  if (!sequence_of.empty()) {
    schema.fields.push_back({.name = "sequence", .shape = {}, .dtype = torch::kLong, .class_names = {}});
    samples.set("sequence", torch::tensor(sequence_of));
  }
  return in_memory(schema, samples, {{"source", "test"}});
}

// Sequences of 0 to `longest` bytes, sample i of length i % (longest + 1) with value i.
std::shared_ptr<Dataset> ragged(int64_t count, int64_t longest) {
  torch::Tensor x = torch::zeros({count, longest}, torch::kByte),
                length = torch::empty({count}, torch::kLong);
  for (int64_t i = 0; i < count; ++i) {
    length.mutable_data_ptr<int64_t>()[i] = i % (longest + 1);
    x[i].narrow(0, 0, i % (longest + 1)).fill_(i);
  }
  Schema schema;
  schema.fields = {
      {.name = "x", .shape = {longest}, .dtype = torch::kByte, .class_names = {}, .variable = true}};
  return in_memory(schema, {{"x", x}, {"x_length", length}});
}

std::vector<int64_t> values(const torch::Tensor& tensor) {
  const torch::Tensor all = tensor.to(torch::kLong).contiguous();
  return {all.const_data_ptr<int64_t>(), all.const_data_ptr<int64_t>() + all.numel()};
}

TEST(Subset, HoldsTheIndicesItWasGiven) {
  const auto data = subset(numbers(10), {7, 2, 2});
  EXPECT_EQ(data->size(), 3);
  EXPECT_EQ(values(data->read({0, 1, 2})["label"]), (std::vector<int64_t>{7, 2, 2}));
  EXPECT_NE(data->fingerprint(), subset(numbers(10), {7, 2, 3})->fingerprint());
  EXPECT_NE(data->fingerprint(), numbers(10)->fingerprint());
  EXPECT_EQ(data->fingerprint(), subset(numbers(10), {7, 2, 2})->fingerprint());
  EXPECT_THAT(error_of([] { subset(numbers(10), {10}); }), HasSubstr("sample 10 of 10"));
}

TEST(Renamed, ChangesNamesAndNothingElse) {
  const auto data = renamed(numbers(5), {{"x", "points"}});
  EXPECT_EQ(data->schema()["points"].shape, std::vector<int64_t>{2});
  EXPECT_TRUE(torch::equal(data->read({3})["points"], numbers(5)->read({3})["x"]));
  EXPECT_NE(data->fingerprint(), numbers(5)->fingerprint());
  EXPECT_THAT(error_of([] {
                renamed(numbers(5), {{"x", "label"}});
              }),
              HasSubstr("two fields would be label"));
  EXPECT_THAT(error_of([] { renamed(numbers(5), {{"y", "z"}}); }), HasSubstr("no field \"y\""));
}

TEST(Windows, AreConsecutiveSamples) {
  const auto data = windows(numbers(10), 3, 2);
  EXPECT_EQ(data->size(), 4);
  EXPECT_EQ(data->schema()["x"].shape, (std::vector<int64_t>{3, 2}));
  const Batch batch = data->read({0, 3});
  EXPECT_EQ(values(batch["label"]), (std::vector<int64_t>{0, 1, 2, 6, 7, 8}));
  EXPECT_EQ(values(batch["x"][1]), (std::vector<int64_t>{6, -6, 7, -7, 8, -8}));
  for (int64_t count = 1; count < 12; ++count)
    for (int64_t length = 1; length <= count; ++length)
      for (int64_t stride : {1, 2, 5}) {
        const auto all = windows(numbers(count), length, stride);
        EXPECT_EQ(values(all->read({all->size() - 1})["label"]).front(), (all->size() - 1) * stride);
        EXPECT_LE((all->size() - 1) * stride + length, count);
        EXPECT_GT(all->size() * stride + length, count) << "one more would fit";
      }
  EXPECT_THAT(error_of([] { windows(numbers(3), 4, 1); }), HasSubstr("no 4 consecutive"));
}

TEST(Windows, NeverSpanTwoSequences) {
  const std::vector<int64_t> of{5, 5, 5, 5, 2, 2, 9, 9, 9, 5};
  const auto data = windows(numbers(10, of), 3, 1);
  std::vector<int64_t> starts;
  for (int64_t i = 0; i < data->size(); ++i) {
    const Batch batch = data->read({i});
    const auto at = values(batch["label"]);
    starts.push_back(at.front());
    for (const int64_t sample : at) EXPECT_EQ(of[size_t(sample)], values(batch["sequence"]).front());
  }
  EXPECT_EQ(starts, (std::vector<int64_t>{0, 1, 6}));
}

TEST(Cached, GivesTheSameSamplesFromMemory) {
  for (const int threads : {1, 3}) {
    const auto plain = ragged(20, 6), data = cached(ragged(20, 6), threads, 1 << 20);
    const std::vector<int64_t> order{19, 0, 6, 6, 13};
    for (const char* name : {"x", "x_length"})
      EXPECT_TRUE(torch::equal(data->read(order)[name], plain->read(order)[name])) << name;
    EXPECT_EQ(data->fingerprint(), plain->fingerprint());
  }
  EXPECT_THAT(error_of([] { cached(numbers(100), 1, 100); }), HasSubstr("in memory"));
}

TEST(Variable, FieldsComePaddedWithTheirLengths) {
  const Batch batch = ragged(20, 6)->read({4, 7, 6});
  EXPECT_EQ(values(batch["x_length"]), (std::vector<int64_t>{4, 0, 6}));
  EXPECT_EQ(values(batch["x"][0]), (std::vector<int64_t>{4, 4, 4, 4, 0, 0}));
  EXPECT_EQ(values(batch["x"][1]), (std::vector<int64_t>{0, 0, 0, 0, 0, 0}));
}

std::shared_ptr<Dataset> three_classes(int64_t count) {
  const Schema schema{
      {{.name = "x", .shape = {2}, .dtype = torch::kFloat, .class_names = {}},
       {.name = "label", .shape = {}, .dtype = torch::kLong, .classes = 3, .class_names = {}}}};
  const torch::Tensor index = torch::arange(count);
  return in_memory(schema,
                   {{"x", torch::stack({index, index}, 1).to(torch::kFloat)}, {"label", index.remainder(3)}});
}

std::vector<int64_t> labels_of(const Dataset& data) {
  std::vector<int64_t> all(size_t(data.size()));
  std::iota(all.begin(), all.end(), 0);
  return values(data.read(all)["label"]);
}

TEST(FewLabels, AreSoManyOfEachClassByTheSeed) {
  const auto data = three_classes(30);
  const auto one = labels_of(*few_labels(data, "label", 4, 0, 1, 2));
  EXPECT_EQ(std::count(one.begin(), one.end(), -1), 18);
  for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(one[i] < 0 || one[i] == int64_t(i) % 3) << i;
  for (int64_t c = 0; c < 3; ++c) EXPECT_EQ(std::count(one.begin(), one.end(), c), 4);
  EXPECT_EQ(labels_of(*few_labels(data, "label", 4, 0, 1, 1)), one);
  EXPECT_NE(labels_of(*few_labels(data, "label", 4, 0, 2, 1)), one);
  EXPECT_NE(few_labels(data, "label", 4, 0, 2, 1)->fingerprint(),
            few_labels(data, "label", 4, 0, 1, 1)->fingerprint());
  EXPECT_EQ(labels_of(*few_labels(data, "label", 0, 0, 1, 1)), labels_of(*data));
}

TEST(FewLabels, AreWrongInAShareOfEachClass) {
  const auto labels = labels_of(*few_labels(three_classes(30), "label", 0, 0.3, 1, 1));
  int64_t wrong[3] = {};
  for (size_t i = 0; i < labels.size(); ++i) {
    EXPECT_GE(labels[i], 0);
    EXPECT_LT(labels[i], 3);
    wrong[i % 3] += labels[i] == int64_t(i) % 3 ? 0 : 1;
  }
  for (const int64_t each : wrong) EXPECT_EQ(each, 3);
}

TEST(Stacked, PicturesAreChannelsAndTheirLabelsDigits) {
  const Schema schema{
      {{.name = "image", .shape = {1, 2, 2}, .dtype = torch::kByte, .class_names = {}},
       {.name = "label", .shape = {}, .dtype = torch::kLong, .classes = 10, .class_names = {}}}};
  const torch::Tensor label = torch::arange(30).remainder(10);
  const auto grey = in_memory(
      schema, {{"image", label.to(torch::kByte).reshape({30, 1, 1, 1}).expand({-1, 1, 2, 2}).contiguous()},
               {"label", label}});
  const auto data = stacked(grey, 3);
  EXPECT_EQ(data->size(), 32 * 30);
  EXPECT_EQ(data->schema()["label"].classes, 1000);
  std::vector<int64_t> all(size_t(data->size()));
  std::iota(all.begin(), all.end(), 0);
  const Batch read = data->read(all);
  EXPECT_EQ(read["image"].sizes(), (std::vector<int64_t>{960, 3, 2, 2}));
  const torch::Tensor digits = read["image"].select(2, 0).select(2, 0).to(torch::kLong);
  EXPECT_TRUE(torch::equal(digits.select(1, 0) * 100 + digits.select(1, 1) * 10 + digits.select(1, 2),
                           read["label"]));
  std::set<int64_t> combinations;
  for (const int64_t each : values(read["label"])) combinations.insert(each);
  EXPECT_GT(combinations.size(), 500);  // of 1,000, of which 960 draws hit some 617
  for (int64_t c = 0; c < 3; ++c)       // each picture as often as any other
    EXPECT_TRUE(torch::bincount(digits.select(1, c)).eq(96).all().item<bool>());
  EXPECT_THAT(error_of([&] { stacked(data, 2); }), HasSubstr("grey pictures"));
}

TEST(Numbered, SamplesKnowTheirPlace) {
  const auto data = numbered(subset(three_classes(30), {7, 2, 29}));
  EXPECT_EQ(values(data->read({2, 0, 1})["id"]), (std::vector<int64_t>{2, 0, 1}));
  EXPECT_EQ(values(data->read({2, 0})["label"]), (std::vector<int64_t>{2, 1}));
  EXPECT_THAT(error_of([&] { numbered(data); }), HasSubstr("have one already"));
}

}  // namespace
}  // namespace saddle
