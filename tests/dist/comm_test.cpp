#include "dist/comm.h"

#include <gtest/gtest.h>

#include "dist/error.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

TEST(Comm, SumsAveragesAndBoundsOverRanks) {
  const Comm comm = test::world().comm("cpu");
  const int n = comm.size();
  for (const auto type : {torch::kFloat, torch::kDouble, torch::kLong}) {
    torch::Tensor x = torch::full({1000}, comm.rank() + 1, type);
    comm.all_reduce(x);
    EXPECT_TRUE(x.eq(n * (n + 1) / 2).all().item<bool>());
  }
  torch::Tensor low = torch::full({1}, comm.rank(), torch::kFloat), high = low.clone(), mean = low.clone();
  comm.all_reduce(low, Reduce::min);
  comm.all_reduce(high, Reduce::max);
  comm.all_reduce(mean, Reduce::average);
  EXPECT_EQ(low.item<float>(), 0);
  EXPECT_EQ(high.item<float>(), static_cast<float>(n - 1));
  EXPECT_EQ(mean.item<float>(), static_cast<float>(n - 1) / 2);
}

TEST(Comm, ManyReductionsInFlightEachGiveTheirOwnSum) {
  const Comm comm = test::world().comm("cpu");
  std::vector<torch::Tensor> tensors;
  std::vector<Wait> waits;
  for (int i = 0; i < 50; ++i) {
    tensors.push_back(torch::full({17 * i + 1}, i, torch::kDouble));
    waits.push_back(comm.all_reduce_async(tensors.back()));
  }
  for (int i = 49; i >= 0; --i) {
    waits[i]();
    EXPECT_TRUE(tensors[i].eq(i * comm.size()).all().item<bool>());
  }
}

TEST(Comm, BroadcastsFromEveryRoot) {
  const Comm comm = test::world().comm("cpu");
  for (int root = 0; root < comm.size(); ++root) {
    torch::Tensor x = torch::full({5}, comm.rank(), torch::kBFloat16);
    comm.broadcast(x, root);
    EXPECT_TRUE(x.eq(root).all().item<bool>());
  }
}

TEST(Comm, GathersTensorsAndTextByRank) {
  const Comm comm = test::world().comm("cpu");
  const torch::Tensor all = comm.all_gather(torch::full({2, 3}, comm.rank(), torch::kFloat));
  const auto texts = comm.all_gather_text(std::string(comm.rank(), 'x'));
  ASSERT_EQ(all.size(0), comm.size());
  for (int r = 0; r < comm.size(); ++r) {
    EXPECT_TRUE(all[r].eq(r).all().item<bool>());
    EXPECT_EQ(texts[r].size(), static_cast<size_t>(r));
  }
}

TEST(Comm, AFailureOnOneRankIsThrownOnAll) {
  const Comm comm = test::world().comm("cpu");
  const int culprit = comm.size() - 1;
  try {
    comm.together([&] { require(comm.rank() != culprit, Exit::io, "rank {} has no disk", culprit); });
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()), fmt::format("rank {} has no disk", culprit));
    EXPECT_EQ(e.kind, Exit::io);
    EXPECT_TRUE(e.everywhere);
  }
}

TEST(Comm, RanksThatComeToDifferentCollectivesGetAnError) {
  const Comm comm = test::world().comm("cpu");
  if (comm.size() == 1) return;  // nobody to differ from
  const bool odd = comm.rank() == 1;
  try {
    comm.all_reduce(torch::zeros({odd ? 5 : 4}), Reduce::sum, odd ? "D bucket 0" : "G bucket 0");
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("to ALLREDUCE G bucket 0"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("rank 1 to ALLREDUCE D bucket 0"), std::string::npos) << e.what();
    EXPECT_TRUE(e.everywhere);
  }
  torch::Tensor x = torch::ones({3});
  comm.all_reduce(x);  // and go on if they like
  EXPECT_TRUE(x.eq(comm.size()).all().item<bool>());
}

TEST(Comm, SumsInHalfPrecision) {
  const Comm comm = test::world().comm("cpu");
  for (const auto type : {torch::kHalf, torch::kBFloat16}) {
    torch::Tensor x = torch::full({1001}, comm.rank() + 0.5, type);
    comm.all_reduce(x);
    EXPECT_TRUE(x.eq(comm.size() * comm.size() / 2.0).all().item<bool>());
  }
}

TEST(Comm, KnowsItsPlaceOnTheHost) {
  const Comm comm = test::world().comm("cpu");
  EXPECT_EQ(comm.local_size(), comm.size());
  EXPECT_EQ(comm.local_rank(), comm.rank());
  EXPECT_FALSE(comm.host().empty());
}

}  // namespace
}  // namespace saddle
