#include "dist/stats.h"

#include <gtest/gtest.h>

#include "dist/error.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

TEST(Stats, MomentsAreOverAllElementsOfAllRanks) {
  const Comm comm = test::world().comm("cpu");
  Stats stats;
  stats.report("a", torch::full({2}, comm.rank(), torch::kFloat));
  stats.report("b", torch::full({}, 4.0));
  stats.report("a", torch::full({2}, comm.rank(), torch::kFloat));
  const auto moments = stats.tick(comm);
  ASSERT_EQ(moments.size(), 2U);
  EXPECT_EQ(moments[0].name, "a");
  EXPECT_EQ(moments[0].count, 4 * comm.size());
  EXPECT_DOUBLE_EQ(moments[0].mean, (comm.size() - 1) / 2.0);
  EXPECT_NEAR(moments[0].stddev, std::sqrt((comm.size() * comm.size() - 1) / 12.0), 1e-12);
  EXPECT_DOUBLE_EQ(moments[1].mean, 4);
  EXPECT_TRUE(stats.tick(comm).empty());
}

TEST(Stats, ATickShowsOnlyWhatWasReportedSinceTheLast) {
  const Comm comm = test::world().comm("cpu");
  Stats stats;
  stats.report("a", torch::ones({2}));
  stats.report("b", torch::full({2}, std::nan("")));
  EXPECT_EQ(stats.tick(comm).size(), 2U);
  stats.report("b", torch::full({3}, 5.0));
  const auto moments = stats.tick(comm);
  ASSERT_EQ(moments.size(), 1U);
  EXPECT_EQ(moments[0].name, "b");
  EXPECT_EQ(moments[0].count, 3 * comm.size());
  EXPECT_EQ(moments[0].mean, 5);
}

TEST(Stats, SamplesOfOneRankOnlyAreShownOnAll) {
  const Comm comm = test::world().comm("cpu");
  Stats stats;
  stats.report("a", torch::full({}, comm.rank() == 0 ? 2.0 : std::nan("")), comm.rank() == 0 ? 3 : 0);
  const auto moments = stats.tick(comm);
  ASSERT_EQ(moments.size(), 1U);
  EXPECT_EQ(moments[0].count, 3);
  EXPECT_EQ(moments[0].mean, 2);
}

TEST(Stats, RanksThatReportOtherNamesAreAnError) {
  const Comm comm = test::world().comm("cpu");
  if (comm.size() == 1) return;  // nobody to differ from
  Stats stats;
  stats.report(comm.rank() == 0 ? "a" : "b", torch::zeros({}));
  EXPECT_THROW(stats.tick(comm), Error);
}

}  // namespace
}  // namespace saddle
