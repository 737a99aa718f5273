// What all ranks must have in common: who differs is named on all of them.
#include "dist/agree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/world.h"

namespace saddle {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// What `work` throws here, asserted to be thrown on all ranks.
template <class Work>
std::string message(Exit kind, Work work) {
  try {
    work();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, kind);
    EXPECT_TRUE(e.everywhere);
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

struct Replicas {
  torch::Tensor weights = torch::arange(6, torch::kFloat).reshape({2, 3}), moments = torch::zeros({2});
  int64_t step = 3;
  void visit(StateVisitor& v) {
    v.tensor("G.weight", weights);
    v.tensor("optimizer.g.mean", moments);
    v.number("step", step);
  }
  Visit all() {
    return [this](StateVisitor& v) { visit(v); };
  }
};

TEST(Agree, EqualTextAndEqualStatePass) {
  const Comm comm = test::world().comm("cpu");
  Replicas replicas;
  require_same(comm, "options", "batch = 16\nsteps = 5\n");
  require_same_state(comm, replicas.all());
}

TEST(Agree, TheFirstDifferingLineAndTheMinorityAreNamed) {
  const Comm comm = test::world().comm("cpu");
  if (comm.size() == 1) GTEST_SKIP() << "needs two ranks to disagree";
  const int last = comm.size() - 1;
  const std::string text = message(Exit::usage, [&] {
    require_same(comm, "options",
                 fmt::format("batch = 16\nlr = {}\nseed = {}", comm.rank() == last ? 0.1 : 0.2, comm.rank()));
  });
  EXPECT_THAT(text, AllOf(HasSubstr("same options"), HasSubstr(fmt::format("rank {} (", last)),
                          HasSubstr("'lr = 0.1'"), HasSubstr("'lr = 0.2'"), Not(HasSubstr("seed"))));
  EXPECT_THAT(text, Not(HasSubstr("rank 0 (")));  // of two, rank 0 counts as the majority
}

TEST(Agree, AMissingLineIsADifference) {
  const Comm comm = test::world().comm("cpu");
  if (comm.size() == 1) GTEST_SKIP() << "needs two ranks to disagree";
  const int last = comm.size() - 1;
  const std::string text = message(
      Exit::data, [&] { require_same(comm, "data", comm.rank() == last ? "a" : "a\nb", Exit::data); });
  EXPECT_THAT(text, AllOf(HasSubstr(fmt::format("rank {} (", last)), HasSubstr("(nothing)")));
}

TEST(Agree, OneFlippedBitIsFoundWithItsTensorAndRank) {
  const Comm comm = test::world().comm("cpu");
  if (comm.size() == 1) GTEST_SKIP() << "needs two ranks to disagree";
  for (int culprit = 1; culprit < comm.size(); ++culprit) {
    Replicas replicas;
    if (comm.rank() == culprit) static_cast<uint32_t*>(replicas.moments.data_ptr())[1] ^= 1;
    const std::string text = message(Exit::bug, [&] { require_same_state(comm, replicas.all()); });
    EXPECT_THAT(text, AllOf(HasSubstr(fmt::format("optimizer.g.mean of rank {} (", culprit)),
                            Not(HasSubstr("G.weight"))));
  }
}

TEST(Agree, ANumberThatDiffersIsFoundToo) {
  const Comm comm = test::world().comm("cpu");
  if (comm.size() == 1) GTEST_SKIP() << "needs two ranks to disagree";
  Replicas replicas;
  if (comm.rank() == 1) replicas.step = 4;
  EXPECT_THAT(message(Exit::bug, [&] { require_same_state(comm, replicas.all()); }),
              HasSubstr("step of rank 1 ("));
}

}  // namespace
}  // namespace saddle
