#include "dist/random.h"

#include <gtest/gtest.h>

#include <ATen/ops/allclose.h>

namespace saddle {
namespace {

TEST(Random, ASampleDoesNotDependOnTheRangeItIsAskedIn) {
  const Stream stream(7, "latent", 3);
  const torch::Tensor whole = normal(stream, {0, 10}, {5}, torch::kFloat);
  EXPECT_TRUE(torch::equal(whole.narrow(0, 4, 3), normal(stream, {4, 3}, {5}, torch::kFloat)));
  const torch::Tensor flat = uniform(stream, {0, 10}, {5}, torch::kFloat);
  EXPECT_TRUE(torch::equal(flat.narrow(0, 9, 1), uniform(stream, {9, 1}, {5}, torch::kFloat)));
}

TEST(Random, SeedPurposeAndDrawEachMakeAnotherStream) {
  const auto draw = [](Stream s) { return uniform(s, {0, 4}, {4}, torch::kFloat); };
  const torch::Tensor base = draw({1, "a", 0});
  EXPECT_TRUE(torch::equal(base, draw({1, "a", 0})));
  EXPECT_FALSE(torch::equal(base, draw({2, "a", 0})));
  EXPECT_FALSE(torch::equal(base, draw({1, "b", 0})));
  EXPECT_FALSE(torch::equal(base, draw({1, "a", 1})));
}

TEST(Random, NormalHasTheMomentsOfANormal) {
  const torch::Tensor x =
      normal({1, "moments"}, {0, 1000}, {101}, torch::kDouble);  // odd: a lone half of a pair
  EXPECT_NEAR(x.mean().item<double>(), 0, 0.01);
  EXPECT_NEAR(x.var().item<double>(), 1, 0.02);
  EXPECT_NEAR(x.pow(4).mean().item<double>(), 3, 0.1);
}

TEST(Random, UniformStaysInItsIntervalAndFillsIt) {
  const torch::Tensor x = uniform({1, "u"}, {0, 1000}, {100}, torch::kFloat);
  EXPECT_GE(x.min().item<float>(), 0.0F);
  EXPECT_LT(x.max().item<float>(), 1.0F);
  EXPECT_NEAR(x.mean().item<float>(), 0.5, 0.01);
}

TEST(Random, IntegersReachEveryValueEqually) {
  const torch::Tensor counts = torch::bincount(integers({1, "i"}, {0, 70000}, 7));
  EXPECT_EQ(counts.numel(), 7);
  EXPECT_NEAR(counts.min().item<int64_t>(), 10000, 500);
  EXPECT_NEAR(counts.max().item<int64_t>(), 10000, 500);
}

TEST(Random, EveryDtypeSeesOneSequence) {
  const torch::Tensor fine = normal({3, "d"}, {0, 4}, {8}, torch::kDouble);
  EXPECT_TRUE(torch::equal(fine.to(torch::kFloat), normal({3, "d"}, {0, 4}, {8}, torch::kFloat)));
}

TEST(Share, CoversTheTotalInOrderWithSizesThatDifferByOneAtMost) {
  for (const int64_t total : {0, 1, 3, 8, 21})
    for (const int size : {1, 2, 4, 5}) {
      int64_t next = 0;
      for (int rank = 0; rank < size; ++rank) {
        const Range range = share(total, rank, size);
        EXPECT_EQ(range.first, next);
        EXPECT_TRUE(range.count == total / size || range.count == total / size + 1);
        next += range.count;
      }
      EXPECT_EQ(next, total);
    }
}

}  // namespace
}  // namespace saddle
