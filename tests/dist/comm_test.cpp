#include "dist/comm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/error.h"
#include "tests/data/folder.h"
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
  // Whoever was ahead may have asked for more, to which nobody comes: that fails too, and does not wait.
  EXPECT_THAT(test::error_of(comm.all_reduce_async(torch::ones({3}), "ahead")),
              testing::HasSubstr("D bucket 0"));
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

int64_t sum_of_ranks(const Comm& world, const Comm& part) {
  torch::Tensor sum = torch::full({1}, world.rank(), torch::kLong);
  part.all_reduce(sum);
  return sum.item<int64_t>();
}

TEST(CommParts, EachHasCollectivesOfItsOwn) {
  const Comm comm = test::world().comm("cpu");
  const int color = comm.rank() % 2, n = comm.size();
  const Comm part = comm.split(color);
  EXPECT_EQ(part.size(), n == 1 ? 1 : n / 2);
  EXPECT_EQ(part.rank(), comm.rank() / 2);
  EXPECT_EQ(part.local_rank(), comm.local_rank());
  EXPECT_EQ(part.local_size(), comm.local_size());
  EXPECT_EQ(part.whole(), n == 1);
  EXPECT_EQ(sum_of_ranks(comm, part), n == 4 ? 2 + 2 * color : color);
  const auto texts = part.all_gather_text(std::to_string(comm.rank()));
  for (int r = 0; r < part.size(); ++r) EXPECT_EQ(texts[r], std::to_string(2 * r + color));
  EXPECT_EQ(part.broadcast_text(std::to_string(comm.rank()), part.size() - 1),
            std::to_string(2 * (part.size() - 1) + color));
  part.barrier();
}

TEST(CommParts, MayBePartedAgainAndLeaveTheWholeAsItWas) {
  const Comm comm = test::world().comm("cpu");
  const int n = comm.size();
  Comm kept = comm;
  for (int round = 0; round < 20; ++round) {  // communicators are given back
    const Comm half = comm.split(comm.rank() / 2), one = half.split(comm.rank() % 2);
    EXPECT_EQ(one.size(), 1);
    EXPECT_EQ(sum_of_ranks(comm, one), comm.rank());
    EXPECT_EQ(sum_of_ranks(comm, half), n == 4 && comm.rank() > 1 ? 5 : n > 1 ? 1 : 0);
    EXPECT_EQ(sum_of_ranks(comm, comm), n * (n - 1) / 2);
    kept = half;  // outlives what it was made of
  }
  EXPECT_EQ(kept.all_gather_text("x").size(), static_cast<size_t>(std::min(n, 2)));
}

TEST(CommParts, AFailureStaysInItsPart) {
  const Comm comm = test::world().comm("cpu");
  const int n = comm.size();
  const Comm part = comm.split(comm.rank() < n / 2 ? 0 : 1);
  bool thrown = false;
  try {
    part.together([&] { require(comm.rank() != n - 1, Exit::io, "rank {} has no disk", n - 1); });
  } catch (const Error& e) {
    thrown = true;
    EXPECT_EQ(e.everywhere, n == 1);  // else the ranks of the other part know nothing of it
  }
  EXPECT_EQ(thrown, comm.rank() >= n / 2);
  EXPECT_EQ(sum_of_ranks(comm, part), n == 4 ? (thrown ? 5 : 1) : comm.rank());
}

TEST(CommParts, MayTakeAsManyCollectivesAsTheyLike) {
  const Comm comm = test::world().comm("cpu");
  const Comm part = comm.split(comm.rank() % 2);
  for (int i = 0; i < 3 + 4 * (comm.rank() % 2); ++i) {
    part.barrier();
    torch::Tensor x = torch::ones({i + 1});
    part.all_reduce(x, Reduce::sum, fmt::format("x{}", i));
    EXPECT_TRUE(x.eq(part.size()).all().item<bool>());
  }
  EXPECT_EQ(sum_of_ranks(comm, comm), comm.size() * (comm.size() - 1) / 2);
}

TEST(CommParts, DifferentCollectivesAreAnErrorInThatPartOnly) {
  const Comm comm = test::world().comm("cpu");
  if (comm.size() < 4) return;  // nobody to differ from
  const int color = comm.rank() / 2;
  const Comm part = comm.split(color);
  std::string message;
  try {
    part.all_reduce(torch::zeros({2 + comm.rank() * color}), Reduce::sum, "G bucket 0");
  } catch (const Error& e) {
    message = e.what();
    EXPECT_FALSE(e.everywhere);
  }
  EXPECT_EQ(message.find("rank 1 to ALLREDUCE G bucket 0") != std::string::npos, color == 1) << message;
  if (color == 0) {
    EXPECT_EQ(sum_of_ranks(comm, part), 1);
  }
}

}  // namespace
}  // namespace saddle
