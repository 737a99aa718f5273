#include <gmock/gmock.h>
#include <torch/torch.h>

#include <cmath>

#include "dist/error.h"
#include "losses/metrics/frechet.h"
#include "losses/metrics/modes.h"

namespace saddle {
namespace {

using testing::Each;
using testing::ElementsAre;
using torch::Tensor;

constexpr double kSigma = 0.01;

Tensor ring8() {
  auto angle = torch::arange(8, torch::kDouble) * (2 * M_PI / 8);
  return torch::stack({angle.cos(), angle.sin()}, 1);
}

// `n` samples, in turn from each centre, so that every mode has its exact share.
Tensor mixture(const Tensor& centers, int64_t n, double sigma) {
  torch::manual_seed(3);
  auto which = torch::arange(n) % centers.size(0);
  return centers.index_select(0, which) + sigma * torch::randn({n, centers.size(1)}, torch::kDouble);
}

TEST(ModeCoverage, OfThePerfectGeneratorIsItsCeiling) {
  auto c = mode_coverage(mixture(ring8(), 40000, kSigma), ring8(), kSigma);
  EXPECT_EQ(c.modes, 8);
  EXPECT_EQ(c.total, 8);
  EXPECT_EQ(c.solid_modes, 8);
  EXPECT_NEAR(c.high_quality, 1 - std::exp(-4.5), 0.002);
  EXPECT_LT(c.reverse_kl, 1e-4);
}

TEST(ModeCoverage, SeesCollapse) {
  auto c = mode_coverage(mixture(ring8().narrow(0, 5, 1), 1000, 0.0), ring8(), kSigma);
  EXPECT_EQ(c.modes, 1);
  EXPECT_THAT(c.counts, ElementsAre(0, 0, 0, 0, 0, 1000, 0, 0));
  EXPECT_DOUBLE_EQ(c.high_quality, 1);
  EXPECT_NEAR(c.reverse_kl, std::log(8), 1e-12);
}

TEST(ModeCoverage, CountsAStrayAsAModeButNotAsASolidOne) {
  auto samples =
      torch::cat({mixture(ring8().narrow(0, 0, 1), 2461, 0.0), mixture(ring8().narrow(0, 1, 1), 20, 0.0),
                  mixture(ring8().narrow(0, 2, 1), 19, 0.0)});
  auto c = mode_coverage(samples, ring8(), kSigma);
  EXPECT_EQ(c.modes, 3);
  EXPECT_EQ(c.solid_modes, 2);
}

TEST(ModeCoverage, OfNoGoodSampleIsTheWorst) {
  auto nan = torch::full({3, 2}, std::nan(""));
  for (const auto& samples : {torch::zeros({3, 2}), nan}) {
    auto c = mode_coverage(samples, ring8(), kSigma);
    EXPECT_EQ(c.modes, 0);
    EXPECT_DOUBLE_EQ(c.high_quality, 0);
    EXPECT_NEAR(c.reverse_kl, std::log(8), 1e-12);
    EXPECT_THAT(c.counts, Each(0));
  }
}

TEST(ModeCoverage, DrawsItsCircleAtThreeSigma) {
  auto samples = torch::tensor({{1 + 2.99 * kSigma, 0.0}, {1 + 3.01 * kSigma, 0.0}}, torch::kDouble);
  EXPECT_DOUBLE_EQ(mode_coverage(samples, ring8(), kSigma).high_quality, 0.5);
}

TEST(ModeCoverage, MeasuresTheBalanceOfGoodSamplesOnly) {
  auto far = torch::full({50, 2}, 9.0, torch::kDouble);
  auto samples =
      torch::cat({mixture(ring8().narrow(0, 0, 1), 75, 0.0), mixture(ring8().narrow(0, 1, 1), 25, 0.0), far});
  auto c = mode_coverage(samples, ring8(), kSigma);
  EXPECT_NEAR(c.reverse_kl, std::log(8) + 0.75 * std::log(0.75) + 0.25 * std::log(0.25), 1e-12);
  EXPECT_NEAR(c.high_quality, 100.0 / 150, 1e-12);
}

// In 64 dimensions a sample lies 8 sigma from its centre, so the radius is by the distance of centres.
TEST(ModeCoverage, InManyDimensionsUsesAQuarterOfTheCentresDistance) {
  auto centers = 4 * torch::eye(10, 64, torch::kDouble);  // sqrt(2) * 4 apart: radius 1.414
  auto near = mode_coverage(mixture(centers, 1000, 0.1), centers, 0.1);
  EXPECT_EQ(near.modes, 10);
  EXPECT_DOUBLE_EQ(near.high_quality, 1);
  EXPECT_DOUBLE_EQ(mode_coverage(mixture(centers, 1000, 0.25), centers, 0.1).high_quality, 0);
}

TEST(ModeCoverage, InManyDimensionsNeedsATenthOfTheFairShare) {
  auto centers = 4 * torch::eye(10, 64, torch::kDouble);
  auto with_second = [&](int64_t n) {  // fair share 100
    return torch::cat(
        {mixture(centers.narrow(0, 0, 1), 1000 - n, 0.0), mixture(centers.narrow(0, 1, 1), n, 0.0)});
  };
  EXPECT_EQ(mode_coverage(with_second(9), centers, 0.1).modes, 1);
  EXPECT_EQ(mode_coverage(with_second(10), centers, 0.1).modes, 2);
}

TEST(ModeCoverage, RefusesWhatItCannotMeasure) {
  EXPECT_THROW(mode_coverage(torch::zeros({0, 2}), ring8(), kSigma), Error);
  EXPECT_THROW(mode_coverage(torch::zeros({3, 3}), ring8(), kSigma), Error);
  EXPECT_THROW(mode_coverage(torch::zeros({3, 2}), ring8(), 0), Error);
  EXPECT_THROW(mode_coverage(torch::zeros({3, 5}), torch::zeros({1, 5}), kSigma), Error);
}

Tensor features(int64_t n, int64_t d) {
  torch::manual_seed(7);
  return torch::randn({n, d}, torch::kDouble).mm(torch::randn({d, d}, torch::kDouble));
}

TEST(FrechetDistance, OfASetToItselfIsZero) {
  auto x = features(500, 6);
  EXPECT_NEAR(frechet_distance(x, x), 0, 1e-9);
}

TEST(FrechetDistance, OfAShiftIsItsSquaredLength) {
  auto x = features(500, 6), shift = torch::tensor({1, 2, 0, 0, 0, -2}, torch::kDouble);
  EXPECT_NEAR(frechet_distance(x, x + shift), 9, 1e-9);
}

// With covariances S and s^2 S the closed form is (s - 1)^2 tr S.
TEST(FrechetDistance, OfAScalingIsThatOfTheDeviations) {
  auto x = features(500, 6);
  x -= x.mean(0);
  EXPECT_NEAR(frechet_distance(x, 3 * x) / (4 * x.var(0).sum().item<double>()), 1, 1e-12);
}

// Commuting covariances: sum (sqrt(a_i) - sqrt(b_i))^2.
TEST(FrechetDistance, OfDiagonalCovariancesAddsUpByDimension) {
  auto square = torch::tensor({{1, 1}, {1, -1}, {-1, 1}, {-1, -1}}, torch::kDouble);  // covariance 4/3 I
  auto a = square * torch::tensor({2.0, 5.0}), b = square * torch::tensor({3.0, 1.0});
  EXPECT_NEAR(frechet_distance(a, b), 4.0 / 3 * (1 + 16), 1e-12);
}

TEST(FrechetDistance, IsSymmetricAndIgnoresRotation) {
  auto x = features(500, 6), y = features(400, 6) * 0.5 + 1;
  auto rotation = std::get<0>(torch::linalg_qr(torch::randn({6, 6}, torch::kDouble)));
  const double distance = frechet_distance(x, y);
  EXPECT_NEAR(frechet_distance(y, x), distance, 1e-8);
  EXPECT_NEAR(frechet_distance(x.mm(rotation), y.mm(rotation)), distance, 1e-8);
}

TEST(FrechetDistance, SurvivesFewerSamplesThanDimensions) {
  auto x = features(5, 20);
  EXPECT_NEAR(frechet_distance(x, x), 0, 1e-6);
}

TEST(FrechetDistance, OfADivergedGeneratorIsNan) {
  auto x = features(10, 3);
  EXPECT_TRUE(std::isnan(frechet_distance(x, x / 0)));
}

TEST(FrechetDistance, RefusesASingleSample) {
  EXPECT_THROW(frechet_distance(torch::zeros({1, 3}), torch::zeros({5, 3})), Error);
  EXPECT_THROW(frechet_distance(torch::zeros({5, 2}), torch::zeros({5, 3})), Error);
}

}  // namespace
}  // namespace saddle
