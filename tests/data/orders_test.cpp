// Orders as all ranks see them: one sequence, every sample once an epoch, found at once, and random enough.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <map>
#include <numeric>

#include "data/feed/sampler.h"
#include "dist/random.h"
#include "tests/data/folder.h"

namespace saddle {
namespace {

using testing::HasSubstr;

std::vector<int64_t> take(const Order& order, int64_t first, int64_t count) {
  std::vector<int64_t> out;
  for (int64_t i = first; i < first + count; ++i) out.push_back(order(i));
  return out;
}

std::vector<int64_t> sorted(std::vector<int64_t> all) {
  std::sort(all.begin(), all.end());
  return all;
}

std::vector<int64_t> range(int64_t count) {
  std::vector<int64_t> all(static_cast<size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

std::vector<int64_t> labels(int64_t count, int64_t classes) {  // class c has about c + 1 shares
  std::vector<int64_t> all;
  for (int64_t i = 0; i < count; ++i) {
    const double u = double(i * 7919 % count) / double(count);
    all.push_back(int64_t(double(classes) * std::sqrt(u)));
  }
  return all;
}

std::map<std::string, Order> every_order(int64_t size, uint64_t seed) {
  const ClassTable table(labels(size, 3), 3);
  std::vector<double> weights;
  for (int64_t c = 0; c < 3; ++c) weights.push_back(table.count(c) > 0 ? 1 : 0);
  return {{"global", Shuffle(size, seed)},
          {"sequential", sequential(size)},
          {"local", local_shuffle(size, 7, 3, seed)},
          {"balanced", balanced(table, seed)},
          {"weighted", weighted(table, weights, seed)}};
}

TEST(Orders, AreOneSequenceForAnyNumberOfRanks) {
  constexpr int64_t kSize = 210, kBatch = 10;
  for (const auto& [name, order] : every_order(kSize, 4)) {
    const auto expected = take(order, 0, 3 * kSize);
    for (const int ranks : {1, 2, 3, 4, 64}) {
      const auto again = every_order(kSize, 4).at(name);  // each rank has its own
      std::vector<int64_t> found;
      for (int64_t start = 0; start < 3 * kSize; start += kBatch)
        for (int rank = 0; rank < ranks; ++rank) {
          const Range mine = share(kBatch, rank, ranks);
          for (int64_t index : take(again, start + mine.first, mine.count)) found.push_back(index);
        }
      EXPECT_EQ(found, expected) << name << " on " << ranks << " ranks";
    }
  }
}

TEST(Orders, VisitEverySampleOnceAnEpoch) {
  for (const int64_t size : {1, 2, 3, 4, 5, 7, 8, 13, 31, 64, 97, 100, 101, 256, 509, 1000, 1024, 1025})
    for (const int64_t epoch : {0, 1, 12345}) {
      EXPECT_EQ(sorted(take(Shuffle(size, 1), epoch * size, size)), range(size)) << size;
      EXPECT_EQ(take(sequential(size), epoch * size, size), range(size)) << size;
      for (const int64_t window : {1, 2, 7, 64, 1000})
        for (const int64_t mix : {1, 2, 5, 1000})
          ASSERT_EQ(sorted(take(local_shuffle(size, window, mix, 1), epoch * size, size)), range(size))
              << size << " samples, windows of " << window << ", " << mix << " at a time";
    }
}

TEST(Orders, LocalStaysWithinItsBlocks) {
  constexpr int64_t kSize = 1000, kWindow = 30;  // 33 blocks and one of 10
  const auto order = take(local_shuffle(kSize, kWindow, 1, 5), 0, kSize);
  std::vector<int64_t> blocks;
  for (const int64_t index : order)
    if (blocks.empty() || blocks.back() != index / kWindow) blocks.push_back(index / kWindow);
  EXPECT_EQ(sorted(blocks), range(34)) << "a block is left before it is done";
  EXPECT_NE(blocks, range(34));
  EXPECT_NE(take(local_shuffle(kSize, kWindow, 1, 5), kSize, kSize), order);
  for (const int64_t mix : {2, 5}) {  // no more than so many blocks in any stretch of a group
    const auto mixed = take(local_shuffle(kSize, kWindow, mix, 5), 0, mix * kWindow / 2);
    std::vector<int64_t> seen;
    for (const int64_t index : mixed) seen.push_back(index / kWindow);
    seen = sorted(seen);
    EXPECT_LE(std::unique(seen.begin(), seen.end()) - seen.begin(), mix);
  }
}

TEST(Orders, LocalPutsTheShortBlockAnywhere) {
  std::vector<int64_t> at(4);
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const auto order = take(local_shuffle(35, 10, 1, seed), 0, 35);
    const auto place = std::find_if(order.begin(), order.end(), [](int64_t i) { return i >= 30; });
    ++at[size_t((place - order.begin()) / 10)];
  }
  for (const int64_t count : at) EXPECT_NEAR(double(count), 100, 45);  // 5 deviations
}

TEST(Orders, BalancedTakesEachClassOnceARoundAndEachSampleBeforeAnyAgain) {
  const auto of = labels(600, 5);
  const ClassTable table(of, 5);
  const auto order = take(balanced(table, 2), 0, 5 * 600);
  for (size_t round = 0; round < 600; ++round) {
    std::vector<int64_t> seen;
    for (size_t i = 0; i < 5; ++i) seen.push_back(of[size_t(order[round * 5 + i])]);
    ASSERT_EQ(sorted(seen), range(5)) << "round " << round;
  }
  std::map<int64_t, int64_t> times;
  for (const int64_t index : order) ++times[index];
  for (int64_t c = 0; c < 5; ++c)
    for (int64_t k = 0; k < table.count(c); ++k)
      EXPECT_LE(std::abs(times[table.sample(c, k)] - 600 / table.count(c)), 1) << "class " << c;
}

TEST(Orders, BalancedLeavesOutClassesWithoutSamples) {
  const ClassTable table({0, 2, 2, 0, 2}, 4);
  for (const int64_t index : take(balanced(table, 1), 0, 20)) EXPECT_LT(index, 5);
  EXPECT_EQ(table.count(1), 0);
}

TEST(Orders, WeightedDrawsClassesByTheirWeights) {
  const auto of = labels(1000, 4);
  const std::vector<double> weights{0, 1, 2, 5};
  constexpr int64_t kDraws = 40000;
  std::vector<double> found(4);
  for (const int64_t index : take(weighted(ClassTable(of, 4), weights, 3), 0, kDraws))
    ++found[size_t(of[size_t(index)])];
  EXPECT_EQ(found[0], 0);
  double chi = 0;
  for (size_t c = 1; c < 4; ++c) {
    const double expected = kDraws * weights[c] / 8;
    chi += (found[c] - expected) * (found[c] - expected) / expected;
  }
  EXPECT_LT(chi, 13.8);  // 2 degrees of freedom: one in 1000 fixed seeds would fail
}

TEST(Orders, RefuseWeightsThatDoNotFit) {
  const ClassTable table({0, 2, 2}, 3);
  const auto error = [&](const std::vector<double>& weights) {
    return test::error_of([&] { weighted(table, weights, 0); });
  };
  EXPECT_THAT(error({1, 1}), HasSubstr("each of 3 classes, found 2"));
  EXPECT_THAT(error({1, 1, 1}), HasSubstr("class 1 has weight 1 but no sample"));
  EXPECT_THAT(error({-1, 0, 1}), HasSubstr("not negative"));
  EXPECT_THAT(error({0, 0, 0}), HasSubstr("positive weight"));
}

TEST(Orders, ReadTheClassTableInParallel) {
  const auto of = labels(1000, 5);
  Schema schema;
  schema.fields = {{.name = "x", .shape = {}, .dtype = torch::kFloat, .class_names = {}},
                   {.name = "label", .shape = {}, .dtype = torch::kLong, .classes = 5, .class_names = {}}};
  torch::Tensor tensor = torch::tensor(of);
  auto data = in_memory(schema, {{"x", torch::zeros({1000})}, {"label", tensor}});
  for (const int threads : {1, 3}) {
    const ClassTable table = class_table(*data, "label", threads);
    for (int64_t c = 0; c < 5; ++c)
      for (int64_t k = 0; k < table.count(c); ++k) ASSERT_EQ(of[size_t(table.sample(c, k))], c);
  }
  EXPECT_THAT(test::error_of([&] { class_table(*data, "x", 1); }), HasSubstr("needs a label"));
  tensor = tensor.clone();
  tensor.select(0, 700).fill_(5);
  data = in_memory(schema, {{"x", torch::zeros({1000})}, {"label", tensor}});
  EXPECT_THAT(test::error_of([&] { class_table(*data, "label", 2); }), HasSubstr("sample 700"));
}

TEST(Orders, FindPositionsBeyondABillionAtOnce) {
  constexpr int64_t kSize = 1'000'003, kFar = 1'000'000'007;
  const auto start = std::chrono::steady_clock::now();
  int64_t sum = 0;
  constexpr int64_t kSeeks = 1000;
  const Shuffle shuffle(kSize, 1);
  const Order local = local_shuffle(kSize, 4096, 8, 1);
  for (int64_t i = 0; i < kSeeks; ++i) sum += shuffle(kFar * (i + 1)) + local(kFar * (i + 1));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::cout << "one seek: " << seconds / (2 * kSeeks) * 1e6 << " microseconds" << std::endl;
  EXPECT_GT(sum, 0);
  for (const int64_t size : {int64_t{1}, int64_t{5}, int64_t{65}, int64_t{1025}, kSize, int64_t{1} << 40}) {
    int64_t steps = 0;
    int most = 0;
    for (int64_t i = 0; i < 10000; ++i) {
      int walked = 0;
      permute(i % size, size, uint64_t(i), &walked);
      steps += walked;
      most = std::max(most, walked);
    }
    // At least a quarter of the domain is below size: 4 steps on average, and more than 150 in 1 of 1e18.
    EXPECT_LT(steps, 4.2 * 10000) << size;
    EXPECT_LT(most, 150) << size;
  }
}

// Of `cells` by `cells` counts of (place in the epoch, index), and how many deviations its chi squared is
// off. Rows and columns are without replacement: (cells - 1)^2 degrees of freedom.
double deviations_of_chi_squared(const Order& order, int64_t size, int64_t epochs, int64_t cells) {
  std::vector<double> counts(size_t(cells * cells));
  for (int64_t p = 0; p < size * epochs; ++p)
    ++counts[size_t(p % size * cells / size * cells + order(p) * cells / size)];
  const double expected = double(size * epochs) / double(cells * cells);
  double chi = 0;
  for (const double found : counts) chi += (found - expected) * (found - expected) / expected;
  const auto freedom = double((cells - 1) * (cells - 1));
  return (chi - freedom) / std::sqrt(2 * freedom);
}

TEST(Orders, PlacesAndIndicesAreIndependent) {
  // 4 deviations on either side: with fixed seeds, 1 of 15,000 sound generators would fail a line.
  for (const int64_t size : {1000, 4096, 9973})
    for (const uint64_t seed : {1, 2, 3})
      EXPECT_LT(std::abs(deviations_of_chi_squared(Shuffle(size, seed), size, 40, 10)), 4)
          << size << " samples, seed " << seed;
  // Of blocks of one sample, of one block, of one group of blocks: all must be as good as a global shuffle.
  for (const auto& [window, mix] : {std::pair<int64_t, int64_t>{1, 8}, {1000, 1}, {50, 1000}, {7, 1000}})
    EXPECT_LT(std::abs(deviations_of_chi_squared(local_shuffle(1000, window, mix, 1), 1000, 40, 10)), 4)
        << "windows of " << window << ", " << mix << " at a time";
}

double correlation(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  const double n = double(a.size());
  const double mean_a = double(std::accumulate(a.begin(), a.end(), int64_t{0})) / n,
               mean_b = double(std::accumulate(b.begin(), b.end(), int64_t{0})) / n;
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = double(a[i]) - mean_a, y = double(b[i]) - mean_b;
    ab += x * y, aa += x * x, bb += y * y;
  }
  return ab / std::sqrt(aa * bb);
}

TEST(Orders, NeighboursEpochsAndSeedsAreUncorrelated) {
  // A correlation of n pairs has deviation 1 / sqrt(n); bound 4.5: 1 of 150,000 a line.
  constexpr int64_t kSize = 20011;
  const double bound = 4.5 / std::sqrt(double(kSize));
  const auto first = take(Shuffle(kSize, 1), 0, kSize);
  for (const size_t lag : {1, 2, 3, 7, 64}) {
    auto shifted = first;
    std::rotate(shifted.begin(), shifted.begin() + std::ptrdiff_t(lag), shifted.end());
    EXPECT_LT(std::abs(correlation(first, shifted)), bound) << "lag " << lag;
  }
  EXPECT_LT(std::abs(correlation(first, range(kSize))), bound);
  for (const int64_t epoch : {1, 2, 1000})
    EXPECT_LT(std::abs(correlation(first, take(Shuffle(kSize, 1), epoch * kSize, kSize))), bound);
  for (const uint64_t seed : {0, 2, 3, 1 << 30})
    EXPECT_LT(std::abs(correlation(first, take(Shuffle(kSize, seed), 0, kSize))), bound);
  const auto local = take(local_shuffle(kSize, 512, 40, 1), 0, kSize);  // one group: as good as global
  for (const uint64_t seed : {2, 3})
    EXPECT_LT(std::abs(correlation(local, take(local_shuffle(kSize, 512, 40, seed), 0, kSize))), bound);
}

}  // namespace
}  // namespace saddle
