#include "data/feed/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <thread>

#include "data/feed/sampler.h"
#include "dist/error.h"
#include "tests/data/folder.h"

namespace saddle {
namespace {

std::shared_ptr<Dataset> numbers(int64_t size) {
  Schema schema;
  schema.fields = {{.name = "x", .shape = {2}, .dtype = torch::kFloat, .class_names = {}},
                   {.name = "label", .shape = {}, .dtype = torch::kLong, .classes = size, .class_names = {}}};
  const torch::Tensor index = torch::arange(size);
  return in_memory(schema, {{"x", torch::stack({index, -index}, 1).to(torch::kFloat)}, {"label", index}});
}

std::vector<int64_t> labels(const Batch& batch) {
  const torch::Tensor all = batch["label"].contiguous();
  return {all.const_data_ptr<int64_t>(), all.const_data_ptr<int64_t>() + all.numel()};
}

std::vector<int64_t> take(Loader& loader, int batches) {
  std::vector<int64_t> out;
  for (int i = 0; i < batches; ++i)
    for (int64_t label : labels(loader.next())) out.push_back(label);
  return out;
}

// A data set whose reads take different times, or fail.
class Awkward final : public Dataset {
 public:
  Awkward(int64_t size, int64_t poison) : inner_(numbers(size)), poison_(poison) {}
  const Schema& schema() const override { return inner_->schema(); }
  int64_t size() const override { return inner_->size(); }
  const nlohmann::json& provenance() const override { return inner_->provenance(); }
  std::string fingerprint() const override { return inner_->fingerprint(); }
  bool read_sample(int64_t index, std::span<Place> places) const override {
    std::this_thread::sleep_for(std::chrono::microseconds(index * 37 % 200));
    require(index != poison_, Exit::data, "sample {} is damaged", index);
    return inner_->read_sample(index, places);
  }

 private:
  std::shared_ptr<Dataset> inner_;
  int64_t poison_;
};

TEST(Loader, FollowsTheShuffleAcrossEpochs) {
  Loader loader(numbers(10), {.batch = 4, .seed = 3});
  const auto found = take(loader, 10);
  const Shuffle shuffle(10, 3);
  for (int64_t i = 0; i < 40; ++i) EXPECT_EQ(found[size_t(i)], shuffle(i));
  EXPECT_EQ(loader.batches(), 10);
}

TEST(Loader, GivesRanksTogetherWhatOneRankGets) {
  for (const auto& [batch, size] : {std::pair{8, 2}, {8, 4}, {7, 2}, {7, 4}, {3, 4}}) {  // shares of 0 too
    Loader alone(numbers(50), {.batch = batch, .seed = 1});
    const auto expected = take(alone, 9);
    std::vector<std::unique_ptr<Loader>> ranks;
    for (int rank = 0; rank < size; ++rank)
      ranks.push_back(std::make_unique<Loader>(
          numbers(50), LoaderOptions{.batch = batch, .rank = rank, .size = size, .seed = 1}));
    std::vector<int64_t> found;
    for (int i = 0; i < 9; ++i)
      for (auto& rank : ranks)
        for (int64_t label : labels(rank->next())) found.push_back(label);
    EXPECT_EQ(found, expected) << "a batch of " << batch << " on " << size << " ranks";
  }
}

TEST(Loader, DoesNotDependOnThreadsOrPrefetch) {
  Loader plain(numbers(100), {.batch = 4});
  const auto expected = take(plain, 60);
  for (int threads : {1, 3, 8})
    for (int prefetch : {1, 2, 9}) {
      Loader loader(std::make_shared<Awkward>(100, -1),
                    {.batch = 4, .threads = threads, .prefetch = prefetch});
      EXPECT_EQ(take(loader, 60), expected) << threads << " threads, prefetch " << prefetch;
    }
}

TEST(Loader, ResumesInTheMiddleOfAnEpoch) {
  Loader first(numbers(30), {.batch = 4, .seed = 2, .threads = 2});
  take(first, 5);
  const State saved = collect([&](StateVisitor& v) { first.visit(v); });
  EXPECT_THAT(saved.numbers, testing::ElementsAre(testing::Pair("position", 20)));
  const auto expected = take(first, 12);

  Loader second(numbers(30), {.batch = 4, .seed = 2, .threads = 3, .prefetch = 7});
  take(second, 1);  // what was read ahead must be dropped
  restore([&](StateVisitor& v) { second.visit(v); }, saved);
  EXPECT_EQ(second.batches(), 5);
  EXPECT_EQ(take(second, 12), expected);
}

TEST(Loader, ThrowsWhatAReaderThrewAtItsBatch) {
  const Shuffle shuffle(40, 0);
  Loader loader(std::make_shared<Awkward>(40, shuffle(13)), {.batch = 4, .threads = 2});
  take(loader, 3);
  for (int again = 0; again < 2; ++again)
    EXPECT_EQ(test::error_of([&] { loader.next(); }), fmt::format("sample {} is damaged", shuffle(13)));
  EXPECT_EQ(loader.batches(), 3);
}

// Remembers what it is asked for; each read takes `pause`.
class Watched final : public Dataset {
 public:
  Watched(int64_t size, std::chrono::microseconds pause) : inner_(numbers(size)), pause_(pause) {}
  const Schema& schema() const override { return inner_->schema(); }
  int64_t size() const override { return inner_->size(); }
  const nlohmann::json& provenance() const override { return inner_->provenance(); }
  std::string fingerprint() const override { return inner_->fingerprint(); }
  bool read_sample(int64_t index, std::span<Place> places) const override {
    std::this_thread::sleep_for(pause_);
    const std::lock_guard lock(mutex_);
    reads_.push_back(index);
    return inner_->read_sample(index, places);
  }
  void prefetch(const std::vector<int64_t>& indices) const override {
    const std::lock_guard lock(mutex_);
    hints_.insert(hints_.end(), indices.begin(), indices.end());
  }
  std::vector<int64_t> reads() const {
    const std::lock_guard lock(mutex_);
    return reads_;
  }
  std::vector<int64_t> hints() const {
    const std::lock_guard lock(mutex_);
    return hints_;
  }

 private:
  std::shared_ptr<Dataset> inner_;
  std::chrono::microseconds pause_;
  mutable std::mutex mutex_;
  mutable std::vector<int64_t> reads_, hints_;
};

TEST(Loader, ReadsNoFurtherAheadThanItsPrefetch) {
  const auto data = std::make_shared<Watched>(1000, std::chrono::microseconds(0));
  Loader loader(data, {.batch = 4, .threads = 3, .prefetch = 5});
  const auto settled = [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return data->reads().size();
  };
  EXPECT_EQ(settled(), 20U);
  take(loader, 3);
  EXPECT_EQ(settled(), 32U);
}

TEST(Loader, TellsSlowStorageWhatComesNextOnce) {
  const auto data = std::make_shared<Watched>(400, std::chrono::microseconds(500));
  Loader loader(data, {.batch = 4, .seed = 1, .prefetch = 2, .readahead = 6});
  take(loader, 20);
  const auto hints = data->hints();
  ASSERT_GE(hints.size(), 4U * 20);
  const Shuffle shuffle(400, 1);
  int64_t first = 0;  // position of the first hint: after the batch that was found slow, and the next
  while (shuffle(first) != hints.front()) ++first;
  EXPECT_EQ(first, 8);
  for (size_t i = 0; i < hints.size(); ++i) ASSERT_EQ(hints[i], shuffle(first + int64_t(i))) << i;
  EXPECT_LE(hints.size(), data->reads().size() + size_t{4} * 8) << "too far ahead";
}

TEST(Loader, TellsNothingWithoutReadahead) {
  const auto data = std::make_shared<Watched>(400, std::chrono::microseconds(300));
  Loader loader(data, {.batch = 4, .prefetch = 2, .readahead = 0});
  take(loader, 20);
  EXPECT_TRUE(data->hints().empty());
}

TEST(ToModel, MapsBytesToMinusOneToOne) {
  const torch::Tensor bytes = torch::arange(256).to(torch::kByte);
  const torch::Tensor floats = to_model(bytes, torch::kCPU, torch::kFloat);
  EXPECT_TRUE(torch::equal(floats, bytes.to(torch::kFloat).div(127.5).sub(1)));
  EXPECT_EQ(floats[0].item<float>(), -1);
  EXPECT_EQ(floats[255].item<float>(), 1);
  EXPECT_EQ(to_model(bytes, torch::kCPU, torch::kBFloat16).scalar_type(), torch::kBFloat16);
  EXPECT_EQ(to_model(torch::arange(3), torch::kCPU, torch::kBFloat16).scalar_type(), torch::kLong);
}

}  // namespace
}  // namespace saddle
