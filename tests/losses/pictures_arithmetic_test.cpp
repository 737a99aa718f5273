// Measures of pairs of pictures and of masks: closed forms, and what they must not depend on.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "dist/random.h"
#include "dist/tensor.h"
#include "losses/metrics/features.h"
#include "losses/metrics/image_pairs.h"
#include "losses/metrics/masks.h"
#include "refused.h"

namespace saddle {
namespace {

using test::expect_refused;
using torch::Tensor;

Tensor pictures(int64_t n, int64_t side, uint64_t seed) {
  return uniform({seed, "pictures"}, {0, n}, {3, side, side + 3}, torch::kDouble);
}

TEST(PicturePairs, OfEqualPicturesArePerfect) {
  const Tensor x = pictures(2, 170, 1), ones = torch::ones({2}, torch::kDouble);
  EXPECT_TRUE(torch::equal(l1(x, x), 0 * ones));
  EXPECT_TRUE(torch::equal(psnr(x, x, 1), ones / 0));
  for (const auto window : {SsimWindow::uniform, SsimWindow::gaussian, SsimWindow::gaussian_sample})
    EXPECT_LT((ssim(x, x, 1, window) - 1).abs().max().item<double>(), 1e-12);
  EXPECT_LT((ms_ssim(x, x, 1) - 1).abs().max().item<double>(), 1e-12);
}

TEST(PicturePairs, OfAConstantDifferenceAreTheirClosedForms) {
  const Tensor x = torch::full({1, 1, 16, 16}, 100, torch::kByte), y = torch::full_like(x, 110);
  EXPECT_DOUBLE_EQ(l1(x, y).item<double>(), 10);
  EXPECT_NEAR(psnr(x, y, 255).item<double>(), 20 * std::log10(25.5), 1e-12);
  const double c1 = 2.55 * 2.55;
  for (const auto window : {SsimWindow::uniform, SsimWindow::gaussian})
    EXPECT_NEAR(ssim(x, y, 255, window).item<double>(), (22000 + c1) / (22100 + c1), 1e-9);
}

TEST(PicturePairs, AreMeasuredOneByOneInPartsOfTheRange) {
  const Tensor x = pictures(3, 165, 1), y = (x + 0.1 * pictures(3, 165, 2)).clamp(0, 1);
  const Tensor all = torch::stack({l1(x, y), psnr(x, y, 1), ssim(x, y, 1), ms_ssim(x, y, 1)});
  for (int64_t i = 0; i < 3; ++i) {
    const Tensor p = x.narrow(0, i, 1), q = y.narrow(0, i, 1);
    const Tensor one = torch::stack({l1(p, q), psnr(p, q, 1), ssim(p, q, 1), ms_ssim(p, q, 1)});
    EXPECT_TRUE(torch::equal(one, all.narrow(1, i, 1)));
  }
  EXPECT_LT((ssim(255 * x, 255 * y, 255) - ssim(x, y, 1)).abs().max().item<double>(), 1e-9);
  EXPECT_LT((ms_ssim(255 * x, 255 * y, 255) - ms_ssim(x, y, 1)).abs().max().item<double>(), 1e-9);
}

TEST(PicturePairs, RefuseWhatTheyCannotCompare) {
  const Tensor x = pictures(1, 12, 1);
  expect_refused([&] { l1(x, x.narrow(3, 0, 5)); });
  expect_refused([&] { l1(x[0], x[0]); });
  expect_refused([&] { psnr(x, x, 0); });
  expect_refused([&] { ssim(x.narrow(2, 0, 10), x.narrow(2, 0, 10), 1); });
  expect_refused([&] { ms_ssim(x, x, 1); });
}

// [10, 12] with a box of `h` x `w` cells at (top, left).
Tensor box(int64_t top, int64_t left, int64_t h, int64_t w) {
  Tensor mask = torch::zeros({10, 12}, torch::kByte);
  mask.narrow(0, top, h).narrow(1, left, w).fill_(255);
  return mask;
}

TEST(Masks, OfTwoBoxesAreTheirClosedForms) {
  const Tensor a = box(2, 2, 4, 4), b = box(2, 4, 4, 4);
  EXPECT_DOUBLE_EQ(dice(a, b), 0.5);
  EXPECT_DOUBLE_EQ(iou(a, b), 1.0 / 3);
  for (const auto convention : {Hausdorff::medpy, Hausdorff::monai}) {
    EXPECT_DOUBLE_EQ(hausdorff(a, b, {1, 1}, convention, 100), 2);
    EXPECT_DOUBLE_EQ(hausdorff(a, b, {7, 0.5}, convention, 100), 1);
    EXPECT_DOUBLE_EQ(hausdorff(a, a, {1, 1}, convention), 0);
  }
  EXPECT_DOUBLE_EQ(surface_distance(box(0, 0, 1, 1), box(3, 4, 1, 1), {1, 1}), 5);
}

// One cell against two, of which one is the same: of three distances 0, 0 and 4, or of 0 and of 0, 4.
TEST(Masks, DifferByLibraryAtAPercentile) {
  const Tensor one = box(0, 0, 1, 1), two = box(0, 0, 1, 1) + box(0, 4, 1, 1);
  EXPECT_DOUBLE_EQ(hausdorff(one, two, {1, 1}, Hausdorff::medpy, 50), 0);
  EXPECT_DOUBLE_EQ(hausdorff(one, two, {1, 1}, Hausdorff::monai, 50), 2);
  EXPECT_DOUBLE_EQ(surface_distance(one, two, {1, 1}), 4.0 / 3);
  EXPECT_DOUBLE_EQ(hausdorff(two, one, {1, 1}, Hausdorff::monai, 50), 2);
}

// Against every pair of border cells.
TEST(Masks, OfAnyFormHaveTheDistancesOfTheirCells) {
  const std::vector<double> spacing{2, 0.7, 1.1};
  const auto scattered = [](uint64_t seed) {
    return uniform({seed, "mask"}, {0, 7}, {9, 8}, torch::kDouble)
        .lt(0.05);  // so few that all are border cells
  };
  const Tensor a = scattered(1), b = scattered(2), sizes = torch::tensor(spacing, torch::kDouble);
  const auto centres = [&](const Tensor& mask) { return mask.nonzero().to(torch::kDouble) * sizes; };
  const Tensor apart = distances(centres(a), centres(b)),
               both = torch::cat({std::get<0>(apart.min(1)), std::get<0>(apart.min(0))});
  EXPECT_NEAR(surface_distance(a, b, spacing), both.mean().item<double>(), 1e-12);
  EXPECT_NEAR(hausdorff(a, b, spacing, Hausdorff::medpy, 100), both.max().item<double>(), 1e-12);
}

TEST(Masks, OfNothingAgreeWithNothingOnly) {
  const Tensor none = box(0, 0, 0, 0), some = box(1, 1, 2, 2);
  EXPECT_EQ(dice(none, none), 1);
  EXPECT_EQ(iou(none, none), 1);
  EXPECT_EQ(dice(none, some), 0);
  EXPECT_EQ(iou(some, none), 0);
  EXPECT_EQ(hausdorff(none, none, {1, 1}, Hausdorff::medpy), 0);
  EXPECT_EQ(surface_distance(none, none, {1, 1}), 0);
  constexpr double kFar = std::numeric_limits<double>::infinity();
  EXPECT_EQ(hausdorff(none, some, {1, 1}, Hausdorff::monai), kFar);
  EXPECT_EQ(surface_distance(some, none, {1, 1}), kFar);
}

TEST(Masks, CountPartsWithCommonFaces) {
  EXPECT_EQ(components(box(0, 0, 0, 0)), 0);
  EXPECT_EQ(components(box(0, 0, 10, 12)), 1);
  EXPECT_EQ(components(box(0, 0, 1, 1) + box(1, 1, 1, 1)), 2);                       // a common corner
  EXPECT_EQ(components(box(0, 0, 1, 12) + box(2, 0, 1, 12) + box(1, 11, 1, 1)), 1);  // a hook
  EXPECT_EQ(components(box(0, 11, 1, 1) + box(1, 0, 1, 1)), 2);  // neighbours in memory only
  const Tensor cells = torch::arange(27).reshape({3, 3, 3});
  EXPECT_EQ(components(cells.remainder(2).eq(0)), 14);
  EXPECT_EQ(components(cells.ne(13)), 1);
}

TEST(Masks, RefuseOtherShapes) {
  const Tensor a = box(1, 1, 2, 2);
  expect_refused([&] { dice(a, a.narrow(0, 0, 5)); });
  expect_refused([&] { iou(a[0], a[0]); });
  expect_refused([&] { hausdorff(a, a, {1}, Hausdorff::medpy); });
  expect_refused([&] { hausdorff(a, a, {1, 0}, Hausdorff::medpy); });
  expect_refused([&] { hausdorff(a, a, {1, 1}, Hausdorff::medpy, 101); });
  expect_refused([&] { components(torch::zeros({1, 2, 3, 4})); });
}

}  // namespace
}  // namespace saddle
