// Measures of sets of features: closed forms, and what they must not depend on.
#include <gtest/gtest.h>

#include <cmath>

#include "dist/random.h"
#include "dist/tensor.h"
#include "losses/metrics/features.h"
#include "losses/metrics/frechet.h"
#include "losses/metrics/inception.h"
#include "losses/metrics/kernel.h"
#include "losses/metrics/mind.h"
#include "losses/metrics/neighbours.h"
#include "refused.h"

namespace saddle {
namespace {

using test::expect_refused;
using torch::Tensor;

// [n, d], correlated and not centred.
Tensor features(int64_t n, int64_t d, uint64_t seed) {
  const Tensor mix = normal({seed, "mix"}, {0, d}, {d}, torch::kDouble);
  return normal({seed, "features"}, {0, n}, {d}, torch::kDouble).mm(mix) + 3;
}

Tensor shuffled(const Tensor& rows, uint64_t seed) {
  return rows.index_select(0, subset({seed, "order"}, rows.size(0), rows.size(0)));
}

Gaussian of_pieces(const Tensor& rows, int64_t size) {
  Gaussian all(rows.size(1));
  for (const Range range : pieces(rows.size(0), size)) all.add(rows.narrow(0, range.first, range.count));
  return all;
}

constexpr double kSame = 1e-9;  // of the value

void expect_same(double ours, double value) {
  EXPECT_NEAR(ours, value, kSame * std::abs(value));
}

TEST(Subset, DrawsEachNumberOnceAndAllAlike) {
  Tensor counts = torch::zeros({20}, torch::kLong);
  for (uint64_t i = 0; i < 2000; ++i) {
    const Tensor once = torch::bincount(subset({1, "s", i}, 20, 5), {}, 20);
    EXPECT_EQ(once.max().item<int64_t>(), 1);
    counts += once;
  }
  EXPECT_GT(counts.min().item<int64_t>(), 400);  // 500 +- 19
  EXPECT_LT(counts.max().item<int64_t>(), 600);
  expect_refused([] { subset({1, "s"}, 3, 4); });
}

TEST(Gaussians, DoNotDependOnHowSamplesWereCutOrMerged) {
  const Tensor a = features(3000, 7, 1), b = features(2500, 7, 2);
  const double whole = frechet_distance(a, b);
  const Gaussian of_b = of_pieces(b, 2500);
  for (const int64_t size : {1, 13, 1024, 1500})
    expect_same(frechet_distance(of_pieces(a, size), of_b), whole);
  expect_same(frechet_distance(of_pieces(shuffled(a, 3), 100), of_b), whole);
  for (const int64_t size : {3, 700, 1300}) {
    Gaussian merged(7);
    for (const Range range : pieces(a.size(0), size))
      merged.merge(of_pieces(a.narrow(0, range.first, range.count), 64));
    EXPECT_EQ(merged.count(), a.size(0));
    expect_same(frechet_distance(merged, of_b), whole);
  }
}

TEST(Gaussians, GoThroughTensorsWhoseShapesFollowFromTheDimensions) {
  const Tensor a = features(40, 5, 1), b = features(50, 5, 2);
  Gaussian gathered(5);
  for (const auto& part : {a.narrow(0, 0, 0), a.narrow(0, 0, 2), a.narrow(0, 2, 38)}) {
    const std::vector<Tensor> sent = of_pieces(part, 7).tensors();
    EXPECT_EQ(sent[0].sizes(), at::IntArrayRef({2}));
    EXPECT_EQ(sent[1].sizes(), at::IntArrayRef({5}));
    EXPECT_EQ(sent[2].sizes(), at::IntArrayRef({5, 5}));
    gathered.merge(Gaussian::from(sent));
  }
  EXPECT_EQ(gathered.count(), 40);
  expect_same(frechet_distance(gathered, of_pieces(b, 50)), frechet_distance(a, b));
}

TEST(Gaussians, HaveTheMomentsOfTheirSamples) {
  const Tensor x = features(1500, 4, 1), off = x - x.mean(0);
  const Gaussian::Moments found = of_pieces(x, 77).moments();
  EXPECT_LT((found.mean - x.mean(0)).abs().max().item<double>(), 1e-12);
  const Tensor scatter = off.t().mm(off);
  EXPECT_LT(((found.root.t().mm(found.root) - scatter).abs().max() / scatter.max()).item<double>(), 1e-12);
}

TEST(Gaussians, KeepWhatTheyWereGivenAndRememberNan) {
  Tensor x = features(20, 3, 1);
  const double before = frechet_distance(x, 2 * x);
  Gaussian kept(3);
  kept.add(x);
  const Tensor doubled = 2 * x;
  x.zero_();
  expect_same(frechet_distance(kept, of_pieces(doubled, 20)), before);
  kept.add(torch::full({1, 3}, std::nan("")));
  EXPECT_EQ(kept.count(), 21);
  EXPECT_FALSE(Gaussian::from(kept.tensors()).finite());
  Gaussian merged = of_pieces(doubled, 20);
  merged.merge(kept);
  EXPECT_TRUE(std::isnan(frechet_distance(merged, of_pieces(doubled, 20))));
}

TEST(Gaussians, RefuseOtherShapes) {
  Gaussian g(3);
  expect_refused([&] { g.add(torch::zeros({2, 4})); });
  expect_refused([&] { g.add(torch::zeros({3})); });
  expect_refused([&] { g.merge(Gaussian(2)); });
  expect_refused([&] { frechet_distance(g, of_pieces(torch::zeros({2, 3}), 1)); });
  expect_refused([] { Gaussian(0); });
  expect_refused([] { Gaussian::from({torch::zeros({2}), torch::zeros({3}), torch::zeros({2, 2})}); });
}

// Of Gaussians the distance of n samples is that of all plus c / n: the intercept is nearer to the truth, 0
// here, than the distance, and may be negative.
TEST(FrechetInfinity, TakesMostOfTheBiasAway) {
  const Tensor all = normal({1, "x"}, {0, 6000}, {8}, torch::kDouble);
  const Tensor fake = all.narrow(0, 5000, 1000);
  const Gaussian real = of_pieces(all.narrow(0, 0, 5000), 5000);
  const double found = frechet_infinity(real, fake, 1);
  EXPECT_LT(std::abs(found), 0.5 * frechet_distance(real, of_pieces(fake, 1000)));
  EXPECT_EQ(frechet_infinity(real, fake, 1), found);
  EXPECT_NE(frechet_infinity(real, fake, 2), found);
  EXPECT_TRUE(std::isnan(frechet_infinity(real, fake / 0, 1)));
  expect_refused([&] { frechet_infinity(real, fake.narrow(0, 0, 3), 1); });
}

TEST(KernelDistance, IsZeroInExpectationAndIgnoresOrder) {
  const Tensor x = normal({1, "x"}, {0, 4000}, {6}, torch::kDouble);
  const MeanStd found =
      kid_subsets(x.narrow(0, 0, 2000), x.narrow(0, 2000, 2000), {.subsets = 50, .size = 200});
  EXPECT_LT(std::abs(found.mean), found.std);
  EXPECT_GT(found.std, 0);
  const Tensor a = features(70, 6, 1), b = features(50, 6, 2);
  expect_same(kid(shuffled(a, 1), shuffled(b, 2)), kid(a, b));
  expect_same(kid(b, a), kid(a, b));
}

// x.y = 0 across, 1 of each within: (1/2 + 1)^3 - 1.
TEST(KernelDistance, OfTwoPointsIsItsClosedForm) {
  const Tensor a = torch::tensor({1.0, 0.0}).expand({5, 2}), b = torch::tensor({0.0, 1.0}).expand({4, 2});
  expect_same(kid(a, b), 2 * (1.5 * 1.5 * 1.5 - 1));
  expect_same(cmmd(a, b), 1000 * 2 * (1 - std::exp(-2 / 200.0)));
}

TEST(KernelDistance, DoesNotDependOnBlocks) {
  const Tensor a = features(70, 6, 1), b = features(50, 6, 2);
  for (const int64_t block : {1, 7, 64}) {
    expect_same(kid(a, b, block), kid(a, b));
    expect_same(cmmd(a, b, block), cmmd(a, b));
  }
}

TEST(KernelDistance, OfEqualSetsIsZeroWhereItIsBiased) {
  const Tensor a = features(70, 6, 1);
  EXPECT_NEAR(cmmd(a, shuffled(a, 1)), 0, 1e-9);
  EXPECT_LT(kid(a, a), 0);
}

TEST(KernelDistance, DrawsSubsetsOfASeed) {
  const Tensor a = features(70, 6, 1), b = features(50, 6, 2);
  const auto mean = [&](uint64_t seed) {
    return kid_subsets(a, b, {.subsets = 3, .size = 40, .seed = seed}).mean;
  };
  EXPECT_EQ(mean(1), mean(1));
  EXPECT_NE(mean(1), mean(2));
  const MeanStd all = kid_subsets(a, a, {.subsets = 4, .size = 70});
  EXPECT_NEAR(all.std, 0, 1e-9 * std::abs(all.mean));
  expect_same(all.mean, kid(a, a));
}

TEST(KernelDistance, IsNotFiniteOfADivergedGeneratorAndRefusesOtherShapes) {
  const Tensor a = features(20, 6, 1);
  EXPECT_FALSE(std::isfinite(kid(a, a / 0)));
  EXPECT_FALSE(std::isfinite(cmmd(a, a / 0)));
  expect_refused([&] { kid(a, a.narrow(0, 0, 1)); });
  expect_refused([&] { kid(a, a.narrow(1, 0, 5)); });
  expect_refused([&] { kid(a, a, 0); });
  expect_refused([&] { cmmd(a, a[0]); });
  expect_refused([&] { kid_subsets(a, a, {.subsets = 1, .size = 21}); });
  expect_refused([&] { kid_subsets(a, a, {.subsets = 0, .size = 20}); });
  expect_refused([&] {
    kid_subsets(a, a, torch::zeros({2, 3}, torch::kInt), torch::zeros({3}, torch::kInt));
  });
}

Tensor certain(int64_t n, int64_t classes) {
  const Tensor label = (torch::arange(n) % classes).unsqueeze(1);
  return 1000 * label.eq(torch::arange(classes)).to(torch::kDouble);
}

TEST(InceptionScore, OfEveryClassWithCertaintyIsTheirNumber) {
  const MeanStd found = inception_score(certain(100, 5), 10);
  EXPECT_NEAR(found.mean, 5, 1e-9);
  EXPECT_NEAR(found.std, 0, 1e-9);
  EXPECT_NEAR(inception_score(certain(1, 5).expand({20, 5}), 4).mean, 1, 1e-12);
  EXPECT_NEAR(inception_score(torch::zeros({20, 5}), 3).mean, 1, 1e-12);
}

TEST(InceptionScore, SplitsInTheGivenOrder) {
  const Tensor logits = certain(100, 5);
  const Tensor by_class = logits.index_select(0, logits.argmax(1).argsort(/*stable=*/true, 0, false));
  EXPECT_NEAR(inception_score(by_class, 5).mean, 1, 1e-12);
  EXPECT_NEAR(inception_score(by_class, 1).mean, 5, 1e-9);
}

TEST(InceptionScore, IsNanOfADivergedGeneratorAndRefusesWhatItCannotSplit) {
  EXPECT_TRUE(std::isnan(inception_score(certain(20, 5) / 0).mean));
  expect_refused([] { inception_score(certain(9, 5), 10); });
  expect_refused([] { inception_score(certain(9, 5), 0); });
  expect_refused([] { inception_score(torch::zeros({9})); });
}

TEST(ModeScore, IsTheInceptionScoreOfOneSplitWhateverTheShares) {
  const Tensor logits = features(60, 4, 1), share = torch::tensor({0.1, 0.2, 0.3, 0.4}, torch::kDouble);
  expect_same(mode_score(logits, share), inception_score(logits, 1).mean);
  expect_refused([&] { mode_score(logits, 2 * share); });
  expect_refused([&] { mode_score(logits, torch::tensor({0.0, 0.5, 0.5, 0.0})); });
  expect_refused([&] { mode_score(logits, share.narrow(0, 0, 3)); });
}

void expect_equal(const Prdc& ours, const Prdc& value) {
  EXPECT_DOUBLE_EQ(ours.precision, value.precision);
  EXPECT_DOUBLE_EQ(ours.recall, value.recall);
  EXPECT_DOUBLE_EQ(ours.density, value.density);
  EXPECT_DOUBLE_EQ(ours.coverage, value.coverage);
}

// A sample is in its own ball and in as many as it has neighbours; the k-th lies on the sphere.
TEST(Neighbours, OfEqualSetsFindEverything) {
  const Tensor x = features(60, 4, 1);
  expect_equal(prdc(x, shuffled(x, 1), 3), {1, 1, 1, 1});
  expect_equal(prdc(x, shuffled(x, 1), 3, /*strict=*/false), {1, 1, 4.0 / 3, 1});
}

// Where products of what was given would lose every digit of the distances.
TEST(Neighbours, OfEqualSetsFarFromTheOriginFindEverything) {
  const Tensor x = features(60, 4, 1) + 1e8, twice = torch::cat({x, x});
  expect_equal(prdc(x, shuffled(x, 1), 3), {1, 1, 1, 1});
  expect_equal(prdc(twice, shuffled(twice, 1), 1, /*strict=*/false), {1, 1, 2, 1});
}

TEST(Neighbours, OfSetsFarApartFindNothing) {
  const Tensor x = features(60, 4, 1);
  expect_equal(prdc(x, x + 1000, 3), {0, 0, 0, 0});
}

// On a line at 0, 1, 3, 7 with k = 1 the radii are 1, 1, 2, 4.
TEST(Neighbours, DrawBallsToTheNextSample) {
  const Tensor real = torch::tensor({0, 1, 3, 7}).unsqueeze(1), fake = torch::tensor({2, 50}).unsqueeze(1);
  expect_equal(prdc(real, fake, 1), {0.5, 1, 0.5, 0.25});
  expect_equal(prdc(real, fake, 1, /*strict=*/false), {0.5, 1, 1, 0.5});
}

TEST(Neighbours, DoNotDependOnBlocksOrOrder) {
  const Tensor a = features(60, 4, 1), b = features(45, 4, 2);
  const Prdc whole = prdc(a, b, 5);
  for (const int64_t block : {1, 7, 50}) expect_equal(prdc(shuffled(a, 3), b, 5, true, block), whole);
}

// Of one picture over and over every radius is 0.
TEST(Neighbours, OfACollapsedGeneratorRecallNothing) {
  const Tensor real = features(40, 4, 1), fake = real.narrow(0, 0, 1).expand({40, 4});
  const Prdc found = prdc(real, fake, 3);
  EXPECT_EQ(found.recall, 0);
  EXPECT_EQ(found.precision, 1);
}

TEST(Neighbours, FindTheCopiedSample) {
  const Tensor data = features(60, 4, 1), index = torch::tensor({7, 59, 0, 7}, torch::kLong);
  for (const int64_t block : {1, 9, 100}) {
    const Nearest found = nearest(data.index_select(0, index), data, block);
    EXPECT_TRUE(torch::equal(found.index, index));
    EXPECT_TRUE(torch::equal(found.distance, torch::zeros({4}, torch::kDouble)));
  }
  const Nearest moved = nearest(data.narrow(0, 3, 1) + torch::tensor({3e-7, 0.0, 0.0, 4e-7}), data);
  EXPECT_NEAR(moved.distance.item<double>(), 5e-7, 1e-13);
}

TEST(Neighbours, OfADivergedGeneratorAreNanAndOtherShapesAreRefused) {
  const Tensor x = features(10, 3, 1);
  EXPECT_TRUE(std::isnan(prdc(x, x / 0, 2).recall));
  const Nearest found = nearest(torch::full({1, 3}, std::nan("")), x);
  EXPECT_EQ(found.index.item<int64_t>(), -1);
  EXPECT_TRUE(std::isnan(found.distance.item<double>()));
  const Tensor holed = torch::cat({torch::full({1, 3}, std::nan("")), x});
  EXPECT_TRUE(torch::equal(nearest(x, holed).index, torch::arange(1, 11)));
  expect_refused([&] { prdc(x, x, 10); });
  expect_refused([&] { prdc(x, x, 0); });
  expect_refused([&] { nearest(x, x.narrow(1, 0, 2)); });
  expect_refused([&] { nearest(x, x.narrow(0, 0, 0)); });
}

TEST(Mind, OfEqualSetsIsZeroAndIgnoresOrder) {
  const Tensor a = features(300, 6, 1), b = features(300, 6, 2);
  EXPECT_EQ(mind(a, shuffled(a, 1)), 0);
  expect_same(mind(shuffled(a, 1), b), mind(a, b));
}

TEST(Mind, OfAShiftIsThriceItsSquaredLength) {
  const Tensor a = features(200, 6, 1), shift = torch::tensor({1, 2, 0, 0, 0, -2}, torch::kDouble);
  const double found = mind(a, a + shift, {.directions = 20000});
  EXPECT_NEAR(found, 27, 27 * 0.03);
  expect_same(mind(a, a + 2 * shift, {.directions = 20000}), 4 * found);
}

// PyTorch's numbers at the seed: computed once in Python by the formula, from the same draws.
TEST(Mind, DrawsAsPyTorchDoesAndCutsTheLargerSet) {
  const Tensor a = torch::arange(60, torch::kDouble).remainder(7).reshape({12, 5}),
               b = torch::arange(40, torch::kDouble).remainder(3).reshape({8, 5});
  EXPECT_NEAR(mind(a, b, {.directions = 10, .seed = 2020}), 59.589958891057265, 1e-6);
  EXPECT_NEAR(mind(b, a, {.directions = 10, .seed = 2020}), 59.589958891057265, 1e-6);
  EXPECT_NE(mind(a, b, {.seed = 1}), mind(a, b, {.seed = 2}));
}

TEST(Mind, IsNotFiniteOfADivergedGeneratorAndRefusesOtherShapes) {
  const Tensor a = features(20, 6, 1);
  EXPECT_FALSE(std::isfinite(mind(a, a / 0)));
  expect_refused([&] { mind(a, a.narrow(1, 0, 5)); });
  expect_refused([&] { mind(a, a.narrow(0, 0, 0)); });
  expect_refused([&] { mind(a, a, {.directions = 0}); });
}

}  // namespace
}  // namespace saddle
