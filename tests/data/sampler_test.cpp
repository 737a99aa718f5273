#include "data/feed/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace saddle {
namespace {

std::vector<int64_t> epoch(int64_t size, uint64_t seed, int64_t number) {
  const Shuffle shuffle(size, seed);
  std::vector<int64_t> out(static_cast<size_t>(size));
  for (int64_t i = 0; i < size; ++i) out[size_t(i)] = shuffle(number * size + i);
  return out;
}

TEST(Shuffle, VisitsEverySampleOnceAnEpoch) {
  for (int64_t size : {1, 2, 3, 4, 5, 7, 16, 17, 63, 64, 65, 1000, 1023, 1025, 4096, 60000})
    for (int64_t number : {0, 1, 1000000}) {
      auto order = epoch(size, 3, number);
      std::sort(order.begin(), order.end());
      std::vector<int64_t> all(static_cast<size_t>(size));
      std::iota(all.begin(), all.end(), 0);
      ASSERT_EQ(order, all) << size << " samples, epoch " << number;
    }
}

TEST(Shuffle, DiffersByEpochAndSeed) {
  EXPECT_NE(epoch(100, 0, 0), epoch(100, 0, 1));
  EXPECT_NE(epoch(100, 0, 0), epoch(100, 1, 0));
  EXPECT_EQ(epoch(100, 5, 2), epoch(100, 5, 2));
}

TEST(Shuffle, TakesEveryOrderOfThreeAboutEquallyOften) {
  std::vector<int> seen(27);
  for (int e = 0; e < 6000; ++e) {
    const auto order = epoch(3, 1, e);
    ++seen[size_t(order[0] * 9 + order[1] * 3 + order[2])];
  }
  for (int code : {5, 7, 11, 15, 19, 21}) EXPECT_NEAR(seen[size_t(code)], 1000, 150) << code;
}

TEST(Shuffle, SpreadsSamplesEvenlyOverPositions) {  // chi squared of 100 cells
  constexpr int64_t kSize = 1000, kEpochs = 100;
  double cells[10][10] = {};
  for (int64_t e = 0; e < kEpochs; ++e) {
    const auto order = epoch(kSize, 7, e);
    for (int64_t i = 0; i < kSize; ++i) ++cells[i / 100][order[size_t(i)] / 100];
  }
  double chi = 0;
  const double expected = double(kEpochs) * 10;
  for (auto& row : cells)
    for (double found : row) chi += (found - expected) * (found - expected) / expected;
  EXPECT_GT(chi, 40);  // 81 degrees of freedom (less, as rows are without replacement): mean 73, deviation 12
  EXPECT_LT(chi, 130);
}

TEST(Shuffle, LeavesNoNeighboursTogether) {
  const auto order = epoch(10000, 2, 0);
  int together = 0;
  for (size_t i = 1; i < order.size(); ++i) together += std::abs(order[i] - order[i - 1]) == 1;
  EXPECT_LT(together, 15);  // 2 are expected
}

}  // namespace
}  // namespace saddle
