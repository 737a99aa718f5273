// The watchdog's verdicts on what ranks say of themselves, and the flight record that they take it from.
#include "dist/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

namespace saddle {
namespace {

using flight::Sign;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr double kTimeout = 60;

// Computes since `idle` seconds, having entered `entered` collectives.
Watched computing(int rank, uint64_t entered, double idle, double limit = kTimeout) {
  return {
      .name = fmt::format("rank {} (host{})", rank, rank / 2),
      .sign =
          {.step = 12, .doing = "D forward", .entered = entered, .waiting = {}, .idle = idle, .limit = limit},
      .silence = 0.1};
}

Watched waiting(int rank, uint64_t entered, double idle, const std::string& where) {
  Watched made = computing(rank, entered, idle);
  made.sign.doing = "D wait";
  made.sign.waiting = fmt::format("{} (#{})", where, entered);
  return made;
}

TEST(Judge, IsSilentWhileAllIsWell) {
  EXPECT_EQ(judge({computing(0, 7, 1), computing(1, 8, 59), waiting(2, 8, 59, "d bucket 0")}, kTimeout), "");
}

TEST(Judge, NamesTheRankThatGivesNoSignOfLife) {
  std::vector<Watched> ranks{computing(0, 7, 1), computing(1, 7, 1), computing(2, 7, 1)};
  ranks[1].silence = 61;
  EXPECT_THAT(judge(ranks, kTimeout), AllOf(HasSubstr("rank 1 (host0) has given no sign of life for 61 s"),
                                            HasSubstr("step 12, D forward"), Not(HasSubstr("rank 2"))));
}

TEST(Judge, NamesAllRanksOfALostHost) {
  std::vector<Watched> ranks{computing(0, 7, 1), computing(1, 7, 1), computing(2, 7, 1), computing(3, 7, 1)};
  ranks[2].silence = 61;
  ranks[3].silence = 59;  // its last message was a later one
  EXPECT_THAT(judge(ranks, kTimeout), HasSubstr("rank 2 (host1), rank 3 (host1) have given no sign"));
}

// The record of collectives tells who holds up whom: those that wait are idle for longer.
TEST(Judge, NamesTheRankForWhichTheOthersWait) {
  EXPECT_THAT(
      judge({waiting(0, 8, 70, "d bucket 0"), computing(1, 7, 65), waiting(2, 8, 70, "d bucket 0")},
            kTimeout),
      AllOf(testing::StartsWith("rank 1 (host0) hangs"), HasSubstr("no progress at step 12, D forward"),
            HasSubstr("has not entered d bucket 0 (#8)"), HasSubstr("rank 0 (host0), rank 2 (host1)")));
}

TEST(Judge, DoesNotBlameARankWithinALimitOfItsOwnNorThoseThatWaitForIt) {
  const std::vector<Watched> ranks{computing(0, 7, 590, 600), waiting(1, 8, 580, "together")};
  EXPECT_EQ(judge(ranks, kTimeout), "");
  EXPECT_THAT(judge({computing(0, 7, 601, 600), ranks[1]}, kTimeout), HasSubstr("rank 0 (host0) hangs"));
  EXPECT_EQ(judge({computing(0, 7, 1e6, 0)}, kTimeout), "");  // 0: no limit
}

TEST(Judge, WaitsForTheSilenceOfARankThatMayBeGoneBeforeItBlamesAnother) {
  std::vector<Watched> ranks{computing(0, 7, 61), waiting(1, 8, 20, "d bucket 0")};
  ranks[1].silence = 45;
  EXPECT_EQ(judge(ranks, kTimeout), "");
}

// A hang as old as the last sign: the limit counts from the last entry, not from the last message.
TEST(Judge, AddsTheSilenceToTheIdleness) {
  Watched rank = computing(1, 7, 50);
  rank.silence = 15;
  EXPECT_THAT(judge({computing(0, 8, 1), rank}, kTimeout), HasSubstr("rank 1 (host0) hangs"));
}

TEST(Judge, SaysWhoWaitsInWhichOfDifferentCollectivesTheFewestFirst) {
  const std::string verdict = judge({waiting(0, 8, 61, "g bucket 0"), waiting(1, 8, 61, "g bucket 0"),
                                     waiting(2, 8, 61, "digest"), waiting(3, 8, 61, "g bucket 0")},
                                    kTimeout);
  EXPECT_THAT(verdict, AllOf(HasSubstr("different collectives"), HasSubstr("rank 2 (host1) at step 12"),
                             HasSubstr("rank 0 (host0), rank 1 (host0), rank 3 (host1) at step 12")));
  EXPECT_LT(verdict.find("digest (#8)"), verdict.find("g bucket 0 (#8)"));
}

TEST(Judge, SuspectsTheNetworkWhenAllAreInsideOneCollective) {
  EXPECT_THAT(judge({waiting(0, 8, 61, "d bucket 0"), waiting(1, 8, 61, "d bucket 0")}, kTimeout),
              AllOf(testing::StartsWith("d bucket 0 (#8) does not end"), HasSubstr("network")));
}

TEST(Judge, StaysShortForManyRanks) {
  std::vector<Watched> ranks{computing(0, 7, 61)};
  for (int r = 1; r < 512; ++r) ranks.push_back(waiting(r, 8, 61, "d bucket 0"));
  const std::string verdict = judge(ranks, kTimeout);
  EXPECT_THAT(verdict, HasSubstr("and 507 more"));
  EXPECT_LT(verdict.size(), 300U);
}

TEST(Flight, TellsStepPhaseAndTheCollectiveThatItWaitsIn) {
  flight::step(12);
  const flight::Doing doing("D backward");
  EXPECT_EQ(flight::sign().text(), "step 12, D backward");
  const uint64_t first = flight::enter("bucket 0", 10), second = flight::enter("bucket 1", 20);
  EXPECT_EQ(flight::sign().waiting, "");
  flight::wait(first);  // in an order of its own
  EXPECT_EQ(flight::sign().waiting, fmt::format("bucket 0 (#{})", first));
  EXPECT_EQ(flight::collective(), "bucket 1");
  flight::leave(first);
  EXPECT_EQ(flight::sign().waiting, "");
  EXPECT_EQ(flight::sign().entered, second);
  flight::leave(second);
}

TEST(Flight, APhaseEndsWithItsScopeAndTakesItsLimitAlong) {
  flight::limit(60);
  {
    const flight::Doing outer("picture", 600);
    { const flight::Doing inner("draw"); }
    EXPECT_EQ(flight::sign().doing, "picture");
    EXPECT_EQ(flight::sign().limit, 600);
  }
  EXPECT_EQ(flight::sign().limit, 60);
}

TEST(Flight, AnExceptionLeavesThePhaseThatItCameFrom) {
  const flight::Doing outer("set-up");
  try {
    const flight::Doing inner("D forward");
    throw std::runtime_error("broken");
  } catch (const std::runtime_error&) {
    EXPECT_EQ(flight::sign().doing, "D forward");
  }
}

TEST(Flight, IdlenessCountsFromTheLastEntry) {
  flight::touch();
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_GE(flight::sign().idle, 0.03);
  flight::touch();
  EXPECT_LT(flight::sign().idle, 0.03);
}

TEST(Flight, CountsOnlyWaitingAsWaiting) {
  const auto pause = [] { std::this_thread::sleep_for(std::chrono::milliseconds(20)); };
  const double before = flight::waited();
  const uint64_t number = flight::enter("bucket", 1);
  pause();  // computes meanwhile
  flight::wait(number);
  const double computed = flight::waited();
  pause();
  flight::leave(number);
  EXPECT_EQ(computed, before);
  EXPECT_GE(flight::waited() - before, 0.02);
}

TEST(Flight, TheRecordKeepsTheLastTwoThousandCollectivesAndWhichAreNotLeft) {
  uint64_t number = 0;
  for (int i = 0; i < 2100; ++i) {
    number = flight::enter("bucket", i);
    if (i < 2099) flight::leave(number);
  }
  std::istringstream in(flight::dump());
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(lines.size(), 2000U);
  EXPECT_EQ(lines.back().at("number"), number);
  EXPECT_FALSE(lines.back().contains("left"));
  EXPECT_EQ(lines.front().at("bytes"), 100);
  EXPECT_LE(lines.front().at("entered"), lines.front().at("left"));
  flight::leave(number);
}

}  // namespace
}  // namespace saddle
