#include "dist/state.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dist/error.h"

namespace saddle {
namespace {

struct Thing {
  torch::Tensor weights = torch::arange(6, torch::kFloat).view({2, 3});
  int64_t step = 4;
  double scale = 0.1;
  void visit(StateVisitor& v) {
    Scope scope(v, "thing");
    scope.tensor("weights", weights);
    scope.number("step", step);
    scope.number("scale", scale);
  }
};

Visit visit_of(Thing& thing) {
  return [&thing](StateVisitor& v) { thing.visit(v); };
}

TEST(State, WhatIsCollectedRestoresIntoViews) {
  Thing from, to;
  to.weights.zero_();
  const torch::Tensor view = to.weights.view(-1);
  to.step = 0;
  to.scale = 0;
  restore(visit_of(to), collect(visit_of(from)));
  EXPECT_TRUE(torch::equal(view, from.weights.view(-1)));
  EXPECT_EQ(to.step, 4);
  EXPECT_EQ(to.scale, 0.1);
}

TEST(State, ListsComeBackWithTheirLengthAndNumbersThatAreNoneToo) {
  torch::Tensor pool = torch::arange(8, torch::kFloat).view({2, 4}),
                other = torch::zeros({5, 4}, torch::kFloat);
  double infinite = -std::numeric_limits<double>::infinity(), none = std::nan(""), a = 0, b = 0;
  const State saved = collect([&](StateVisitor& v) {
    Scope(v, "x").list("pool", pool);
    v.number("infinite", infinite);
    v.number("none", none);
  });
  const auto load = [&](torch::Tensor& into) {
    restore(
        [&](StateVisitor& v) {
          Scope(v, "x").list("pool", into);
          v.number("infinite", a);
          v.number("none", b);
        },
        // As through a file.
        {saved.tensors, nlohmann::json::parse(nlohmann::json(saved.numbers).dump())});
  };
  load(other);
  EXPECT_TRUE(torch::equal(other, pool));
  pool.fill_(9);
  EXPECT_EQ(other[1][3].item<float>(), 7) << "it is a copy";
  EXPECT_EQ(a, infinite);
  EXPECT_TRUE(std::isnan(b));
  torch::Tensor wider = torch::zeros({0, 5}, torch::kFloat);
  EXPECT_THROW(load(wider), Error);
}

TEST(State, AMissingALeftOverAndAMisshapenItemAreNamed) {
  Thing thing;
  State state = collect(visit_of(thing));
  const auto message = [&](const State& s) -> std::string {
    try {
      restore(visit_of(thing), s);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  State less = state, more = state, other = state;
  less.tensors.erase("thing.weights");
  more.numbers["thing.extra"] = 1;
  other.tensors["thing.weights"] = torch::zeros({3});
  EXPECT_NE(message(less).find("thing.weights"), std::string::npos);
  EXPECT_NE(message(more).find("4 items"), std::string::npos);
  EXPECT_NE(message(other).find("[2, 3]"), std::string::npos);
  EXPECT_EQ(message(state), "");
}

TEST(State, NumbersOfOtherKindsAreNamed) {
  int64_t count = 0;
  double rate = 0;
  const auto message = [&](const nlohmann::json& saved_count,
                           const nlohmann::json& saved_rate) -> std::string {
    try {
      restore([&](StateVisitor& v) { v.number("count", count), v.number("rate", rate); },
              {.tensors = {}, .numbers = {{"count", saved_count}, {"rate", saved_rate}}});
    } catch (const Error& e) {
      EXPECT_EQ(e.kind, Exit::data);
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(message(3, "-inf"), "");
  for (const nlohmann::json& bad : {nlohmann::json(1e300), nlohmann::json(2.5), nlohmann::json("3"),
                                    nlohmann::json(UINT64_MAX), nlohmann::json(nullptr)})
    EXPECT_NE(message(bad, 1.5).find("'count'"), std::string::npos) << bad;
  for (const nlohmann::json& bad : {nlohmann::json("fast"), nlohmann::json(""), nlohmann::json(true)})
    EXPECT_NE(message(3, bad).find("'rate'"), std::string::npos) << bad;
}

TEST(State, TheDigestSeesEveryItem) {
  Thing thing;
  const uint64_t before = digest(visit_of(thing));
  EXPECT_EQ(before, digest(visit_of(thing)));
  thing.weights[1][2].add_(1e-6);
  const uint64_t weight = digest(visit_of(thing));
  EXPECT_NE(before, weight);
  ++thing.step;
  EXPECT_NE(weight, digest(visit_of(thing)));
}

TEST(State, AnItemShownTwiceIsABug) {
  Thing thing;
  EXPECT_THROW(collect([&](StateVisitor& v) {
                 thing.visit(v);
                 thing.visit(v);
               }),
               Error);
}

}  // namespace
}  // namespace saddle
